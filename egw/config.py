"""Typed configuration: a TOML file, environment variables and defaults.

What can be configured is written in `egw.config_keys`; this module reads it.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from egw.config_keys import (
    ENVIRONMENT_PREFIX,
    Api,
    Backend,
    Config,
    Device,
    Harvest,
    Outbox,
    Signer,
    Table,
    Uplink,
    Workers,
    entry_type,
    keys,
    table_type,
)
from egw.config_transport import check_transport
from egw.config_values import ConfigError, checked, expected, show

__all__ = [
    "Api",
    "Backend",
    "Config",
    "ConfigError",
    "Device",
    "Harvest",
    "Outbox",
    "Signer",
    "Uplink",
    "Workers",
    "load_config",
]


def load_config(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    profiles: Callable[[Path], Collection[str]],
    data_dir: Path | None = None,
) -> Config:
    """Read the file at `path` (None: there is none), then the overrides in `environ`.

    `profiles` returns the names that a device may give as its profile, from the data
    directory. `data_dir` (the command line's) wins over file and environment. Raises
    ConfigError for the first mistake found.
    """
    where = str(path)
    found = {} if path is None else _read_toml(path)
    values = _checked_table(where, "", found, Config)
    _override(values, environ)
    if data_dir is not None:
        values["data_dir"] = data_dir
    config = msgspec.convert(values, Config)
    given = values.get("device", ())
    _check_devices(where, config.devices, given, profiles(config.data_dir))
    return config


def _read_toml(path: Path) -> dict[str, Any]:
    where, wanted = str(path), "a TOML file"
    try:
        data = path.read_bytes()
        return tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        raise ConfigError(where, "", found=found, expected=wanted) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        where = f"{where}, line {line}"
        raise ConfigError(
            where, "", found="bytes that are not UTF-8", expected="UTF-8 text"
        ) from error
    except (ValueError, RecursionError) as error:
        reason, place = _reason_and_place(str(error))
        found = f"a mistake in the TOML ({reason})"
        raise ConfigError(where + place, "", found=found, expected=wanted) from error


def _reason_and_place(text: str) -> tuple[str, str]:
    """Take apart tomllib's message, which ends in `(at line 3, column 7)`."""
    parts = re.fullmatch(r"(.*) \(at (.*)\)", text, re.DOTALL)
    return (parts[1], f", {parts[2]}") if parts else (text, "")


def _checked_table(
    where: str, prefix: str, found: Mapping[str, Any], table: type[Table]
) -> dict[str, Any]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(table)}
    values: dict[str, Any] = {}
    for name, value in found.items():
        if name not in fields:
            raise _unknown(where, prefix + _bare(name), name, fields)
        kind, key = fields[name].type, prefix + name
        if section := table_type(kind):
            _expect(where, key, value, dict, f"a table, [{key}]")
            values[name] = _checked_table(where, f"{key}.", value, section)
        elif entry := entry_type(kind):
            values[name] = _checked_entries(where, key, value, entry)
        else:
            values[name] = checked(where, key, value, kind, from_text=False)
    for name, field in fields.items():
        if field.required and name not in found:
            key, wanted = prefix + name, expected(field.type)
            raise ConfigError(where, key, found="nothing", expected=wanted)
    return values


def _checked_entries(
    where: str, key: str, found: Any, entry: type[Table]
) -> list[dict[str, Any]]:
    wanted = f"tables that each begin with [[{key}]]"
    _expect(where, key, found, list, wanted)
    values = []
    for number, item in enumerate(found, start=1):
        _expect(where, key, item, dict, wanted)
        label = _label(number, item.get("name"))
        values.append(_checked_table(where, f"{label}: ", item, entry))
    return values


def _label(number: int, name: Any) -> str:
    """Point at a device: by its place in the file, counted from 1, and its name."""
    return f"device {number} {show(name)}" if name else f"device {number}"


def _expect(where: str, key: str, found: Any, kind: type, wanted: str) -> None:
    if not isinstance(found, kind):
        raise ConfigError(where, key, found=show(found), expected=wanted)


def _unknown(where: str, key: str, name: str, known: Iterable[str]) -> ConfigError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    wanted = f"one of {', '.join(known)}{hint}"
    return ConfigError(where, key, found="an unknown key", expected=wanted)


def _bare(name: str) -> str:
    """Write a key as TOML does: quoted unless it is a bare key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else show(name)


def _override(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    known = {key.variable: key for key in keys()}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        if variable not in known:
            raise _unknown_variable(variable, known)
        key = known[variable]
        where = f"environment variable {variable}"
        table = values.setdefault(key.table, {}) if key.table else values
        table[key.name] = checked(where, key.dotted, text, key.kind, from_text=True)


def _unknown_variable(variable: str, known: Iterable[str]) -> ConfigError:
    close = difflib.get_close_matches(variable, known, n=1)
    wanted = f"{close[0]}" if close else "a variable listed in docs/configuration.md"
    if variable.startswith(f"{ENVIRONMENT_PREFIX}DEVICE"):
        wanted = "devices in the configuration file only"
    found = "a name that overrides no key"
    return ConfigError("environment variable", variable, found=found, expected=wanted)


def _check_devices(
    where: str,
    devices: Iterable[Device],
    given: Iterable[Collection[str]],
    profiles: Collection[str],
) -> None:
    names: dict[str, int] = {}
    addresses: dict[tuple[str, ...], int] = {}
    each = zip(devices, given, strict=True)
    for number, (device, keys_given) in enumerate(each, start=1):
        key = f"{_label(number, device.name)}: "
        if device.profile not in profiles:
            raise _unknown_profile(where, key, device.profile, profiles)
        if (other := names.setdefault(device.name, number)) != number:
            found = f"{show(device.name)}, the name of device {other}"
            raise ConfigError(
                where, f"{key}name", found=found, expected="a name of its own"
            )
        check_transport(where, key, device, keys_given)
        other = addresses.setdefault(_address(device), number)
        if other != number and device.transport == "modbus-rtu":
            found = f"{show(device.serial_port)}, the port of device {other}"
            raise ConfigError(
                where,
                f"{key}serial_port",
                found=found,
                expected="a serial port of its own",
            )
        if other != number:
            found = f"{show(device.host)} with the port and unit of device {other}"
            raise ConfigError(
                where, f"{key}host", found=found, expected="an address of its own"
            )


def _unknown_profile(
    where: str, key: str, name: str, profiles: Collection[str]
) -> ConfigError:
    close = difflib.get_close_matches(name, profiles, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    wanted = f"one of {', '.join(sorted(profiles))}{hint}"
    return ConfigError(where, f"{key}profile", found=show(name), expected=wanted)


def _address(device: Device) -> tuple[str, ...]:
    """Identify where a device is, as far as it is known without its profile."""
    if device.transport == "modbus-rtu":
        return (str(Path(device.serial_port).resolve()),)
    profile = f"default of {device.profile}"
    port = str(device.port or profile)
    unit = profile if device.unit is None else str(device.unit)
    return device.host.lower(), port, unit
