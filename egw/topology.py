"""The supervision tree as one table: which actor lives where, and what it needs.

| worker | actors | why apart |
|---|---|---|
| main | supervisor | restarts the others; does nothing that can block |
| devices-0..n | one InverterActor for each device | a slow device harms one worker |
| signer | SignerActor | the key's library can hang and must be killable |
| core | harvest, uplinks, backend, gateway | disk and outbound network |
| api | ApiActor | no HTTP client can disturb sampling |
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from egw.actors.settings import DeviceSettings, HarvestSettings
from egw.config import ConfigError
from egw.devices.loader import find_profile
from egw.devices.reach import PROTOCOLS
from egw.devices.wire import SerialLine
from egw.messages import (
    API,
    BACKEND,
    GATEWAY,
    HARVEST,
    SIGNER,
    inverter_name,
    uplink_name,
)
from egw.runtime import ChildSpec, WorkerSpec

if TYPE_CHECKING:
    from pathlib import Path

    from egw.config import Config, Device
    from egw.devices.profile import Profile

_GOLDEN = 0.6180339887
_MB = 1024 * 1024
_DAY_MS = 86_400_000


def topology(config: Config) -> tuple[WorkerSpec, ...]:
    """Return the workers of a gateway with this configuration."""
    inverters = tuple(
        _inverter(config, device, number)
        for number, device in enumerate(config.devices)
    )
    core = _core(config)
    signer = (_signer(config),)
    api = (_api(config, needs=[c.name for c in (*inverters, *core, *signer)]),)
    if config.workers.single:
        return (WorkerSpec("gateway", (*signer, *core, *inverters, *api)),)
    return (
        WorkerSpec("signer", signer),
        WorkerSpec("core", core),
        *_shared_out(inverters, config.workers.devices),
        WorkerSpec("api", api),
    )


def check_connections(config: Config, where: str) -> None:
    """Refuse devices that cannot be reached as they are configured.

    Those that are not read by the transport that is configured, and those that would
    need a second connection to one that serves only one: each device has a connection
    of its own, also to a bridge that knows no frames and would mix up those of two.
    `where` names the configuration file.
    Raises ConfigError and ProfileError.
    """
    first: dict[tuple[str, int], tuple[int, str]] = {}
    for number, device in enumerate(config.devices, start=1):
        profile = find_profile(device.profile, profiles_dir(config.data_dir))
        place = f'device {number} "{device.name}"'
        spoken = PROTOCOLS[device.transport]
        if spoken not in profile.transports:
            raise ConfigError(
                where,
                f"{place}: profile",
                found=f'"{profile.name}", read by {", ".join(profile.transports)}',
                expected=f"one that is read by {spoken}",
            )
        if device.transport == "modbus-rtu":
            continue  # no two have one serial port: the configuration was read
        port = device.port or profile.default_port
        single = _single(device, profile)
        other, known = first.setdefault((device.host.lower(), port), (number, single))
        if other != number and (single or known):
            raise ConfigError(
                where,
                f"{place}: host",
                found=f'"{device.host}", port {port}, where device {other} is too',
                expected=f"another host or port: {single or known}",
            )


def _single(device: Device, profile: Profile) -> str:
    """Say why a device needs an address of its own; empty: it does not."""
    if device.transport == "rtu-over-tcp":
        return "a bridge serves one device"
    if profile.manners.single_connection:
        return f"a {profile.name} serves one connection"
    return ""


def profiles_dir(data_dir: Path) -> Path:
    """Return where a user's own profiles are looked for."""
    return data_dir / "profiles"


def _shared_out(
    inverters: tuple[ChildSpec, ...], workers: int
) -> tuple[WorkerSpec, ...]:
    count = min(workers or os.cpu_count() or 1, len(inverters))
    return tuple(
        WorkerSpec(f"devices-{number}", inverters[number::count])
        for number in range(count)
    )


def _signer(config: Config) -> ChildSpec:
    return ChildSpec(
        SIGNER,
        "egw.actors.signer:SignerActor",
        {"provider": config.signer.provider, "key_file": config.signer_key_path},
    )


def _core(config: Config) -> tuple[ChildSpec, ...]:
    harvest = ChildSpec(
        HARVEST,
        "egw.actors.harvest:HarvestActor",
        {"settings": _harvest_settings(config)},
        needs=(SIGNER,),
        grace_s=2.5,
    )
    uplinks = tuple(
        ChildSpec(
            uplink_name(number),
            "egw.actors.uplink:UplinkActor",
            {
                "endpoint": endpoint,
                "timeout_s": config.uplink.timeout_s,
                "in_flight": config.uplink.in_flight,
                "max_packets_per_s": config.uplink.max_packets_per_s,
            },
            needs=(HARVEST,),
        )
        for number, endpoint in enumerate(config.uplink.endpoints, start=1)
    )
    backend = ChildSpec(
        BACKEND,
        "egw.actors.backend:BackendActor",
        {"url": config.backend.url, "timeout_s": config.backend.timeout_s},
        needs=(SIGNER,),
        critical=False,
    )
    gateway = ChildSpec(
        GATEWAY,
        "egw.actors.gateway:GatewayActor",
        {"devices": len(config.devices), "endpoints": len(config.uplink.endpoints)},
    )
    return (harvest, *uplinks, backend, gateway)


def _harvest_settings(config: Config) -> HarvestSettings:
    return HarvestSettings(
        path=config.data_dir / "outbox.db",
        endpoints=tuple(config.uplink.endpoints),
        packet_readings=config.harvest.packet_readings,
        commit_interval_s=config.harvest.commit_interval_s,
        max_bytes=config.outbox.max_mb * _MB,
        max_age_ms=config.outbox.max_age_days * _DAY_MS,
        keep_done_ms=config.outbox.keep_delivered_s * 1000,
    )


def _inverter(config: Config, device: Device, number: int) -> ChildSpec:
    directory = profiles_dir(config.data_dir)
    profile = find_profile(device.profile, directory)
    on_a_port = device.transport == "modbus-rtu"
    settings = DeviceSettings(
        name=device.name,
        profile=device.profile,
        host=device.serial_port if on_a_port else device.host,
        port=0 if on_a_port else device.port or profile.default_port,
        unit=device.unit,
        timeout_s=device.timeout_ms / 1000,
        sn=device.sn,
        frequency=device.frequency,
        # Multiples of the golden ratio spread any number of devices evenly.
        slot=number * _GOLDEN % 1,
        profiles_dir=directory,
        learned_file=config.data_dir / "learned" / f"{device.name}.json",
        transport=device.transport,
        line=SerialLine(device.baud_rate, device.parity, device.stop_bits),
    )
    return ChildSpec(
        inverter_name(device.name),
        "egw.actors.inverter:InverterActor",
        {"settings": settings},
        needs=(HARVEST,),
        critical=False,
        grace_s=1.5,
    )


def _api(config: Config, *, needs: list[str]) -> ChildSpec:
    return ChildSpec(
        API,
        "egw.actors.api:ApiActor",
        {
            "host": config.api.host,
            "port": config.api.port,
            "threads": config.api.threads,
            "profiles": {device.name: device.profile for device in config.devices},
            "data_dir": str(config.data_dir),
        },
        needs=tuple(needs),
    )
