"""Which keys of a device go with which transport."""

from __future__ import annotations

from collections.abc import Collection

from egw.config_keys import Device, Transport
from egw.config_values import ConfigError

_RTU: tuple[Transport, ...] = ("modbus-rtu", "rtu-over-tcp")
_TCP: tuple[Transport, ...] = ("modbus-tcp", "rtu-over-tcp")
_SERIAL: tuple[Transport, ...] = ("modbus-rtu",)

_GOES_WITH: dict[str, tuple[Transport, ...]] = {
    "host": _TCP,
    "port": _TCP,
    "serial_port": _SERIAL,
    "baud_rate": _SERIAL,
    "parity": _SERIAL,
    "stop_bits": _SERIAL,
}
_LAST_UNIT = 247
"""Of a serial line: Modbus over Serial Line V1.02, 2.2."""


def check_transport(
    where: str, label: str, device: Device, given: Collection[str]
) -> None:
    """Refuse keys that a device's transport has no use for, and a lack of others.

    `label` begins the key in errors, `given` are the keys that stand in the file.
    Raises ConfigError.
    """
    kind = device.transport
    for key, kinds in _GOES_WITH.items():
        if key in given and kind not in kinds:
            found = f"a key of {' and '.join(kinds)}"
            wanted = f'only keys of the device\'s transport, "{kind}"'
            raise ConfigError(where, label + key, found=found, expected=wanted)
    if kind in _TCP and not device.host:
        _lacks(where, f"{label}host", "a host name or an IP address")
    if kind == "modbus-rtu" and not device.serial_port:
        _lacks(where, f"{label}serial_port", "the absolute path of a serial port")
    if kind == "rtu-over-tcp" and not device.port:
        _lacks(where, f"{label}port", "the TCP port of the bridge")
    if kind in _RTU and device.unit is not None and not 1 <= device.unit <= _LAST_UNIT:
        raise ConfigError(
            where,
            f"{label}unit",
            found=str(device.unit),
            expected=f"an integer from 1 to {_LAST_UNIT} on a serial line",
        )


def _lacks(where: str, key: str, wanted: str) -> None:
    raise ConfigError(where, key, found="nothing", expected=wanted)
