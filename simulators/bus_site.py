"""Devices on a simulated serial bus, run until told to stop."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from simulators.rtu_bus import RtuBus
from simulators.rtu_ends import RtuOverTcp, SerialLink
from simulators.site import Devices, stop_event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from simulators.control import Pinnable
    from simulators.rtu_bus import BusUnit


@dataclass(frozen=True, slots=True)
class BusDevice:
    """One device on the bus."""

    unit: BusUnit
    registers: Pinnable
    profile: str


@dataclass(frozen=True, slots=True)
class BusPlace:
    """Where a master gets at the bus."""

    host: str
    """Of the bridge and of the control port."""
    port: int
    link: Path | None
    """Name of the serial port; None: there is a bridge."""


async def run_bus(
    found: Sequence[BusDevice],
    place: BusPlace,
    *,
    baud_rate: int,
    control_port: int | None,
    as_json: bool,
    until_eof: bool,
) -> None:
    """Run a bus until told to stop; raises OSError, and ValueError for equal units."""
    stop = stop_event(until_eof=until_eof)
    bus = RtuBus([device.unit for device in found], baud_rate=baud_rate)
    devices = Devices()
    link = None if place.link is None else SerialLink(bus, place.link)
    bridge = RtuOverTcp(bus) if link is None else None
    try:
        where, port = str(place.link), 0
        if link is not None:
            link.plug_in()
        if bridge is not None:
            await bridge.start(place.host, place.port)
            where, port = place.host, bridge.port
        for device in found:
            await devices.start(
                device.unit, device.registers, device.profile, where, port
            )
        control = None
        if control_port is not None:
            control = await devices.start_control(place.host, control_port)
        print(_announcement(devices, place, control, as_json=as_json), flush=True)
        await stop.wait()
    finally:
        if link is not None:
            link.unplug()
        if bridge is not None:
            bridge.close()
        devices.close()
        bus.close()


def _announcement(
    devices: Devices, place: BusPlace, control: int | None, *, as_json: bool
) -> str:
    transport = "rtu-over-tcp" if place.link is None else "modbus-rtu"
    if as_json:
        told = [asdict(a) | {"transport": transport} for a in devices.addresses]
        port = None if control is None else {"host": place.host, "port": control}
        return json.dumps({"devices": told, "control": port})
    lines = [
        f"{a.name} ({a.profile}) on {a.host if a.port == 0 else f'{a.host}:{a.port}'}, "
        f"unit {a.unit}, {transport}"
        for a in devices.addresses
    ]
    if control is not None:
        lines.append(f"control {place.host}:{control}")
    return "\n".join(lines)
