"""How a device is reached, and the transport that is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from egw.devices.modbus_rtu import ModbusRtu
from egw.devices.modbus_tcp import ModbusTcp
from egw.devices.profile import Manners, TransportName
from egw.devices.serial_port import SerialPort
from egw.devices.tcp_bridge import TcpBridge
from egw.devices.transport import Transport
from egw.devices.wire import SerialLine

TransportKind = Literal["modbus-tcp", "modbus-rtu", "rtu-over-tcp"]

PROTOCOLS: dict[TransportKind, TransportName] = {
    "modbus-tcp": "modbus-tcp",
    "modbus-rtu": "modbus-rtu",
    "rtu-over-tcp": "modbus-rtu",
}
"""What a device must speak to be reached so, as its profile says."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a device is and what is spoken there."""

    host: str
    """Address of the device or its bridge; with modbus-rtu the serial port's path."""
    port: int = 0
    """TCP port; 0 with modbus-rtu."""
    transport: TransportKind = "modbus-tcp"
    line: SerialLine = field(default_factory=SerialLine)
    """Settings of the serial port; of use with modbus-rtu only."""

    @property
    def place(self) -> str:
        """The place in words: host and port, or the path of a serial port."""
        if self.transport == "modbus-rtu":
            return self.host
        return f"{self.host}:{self.port}"


def make_transport(
    reach: Reach, *, unit: int, timeout_s: float, manners: Manners
) -> Transport:
    """Return a transport, not connected yet; `timeout_s` is for each reply."""
    if reach.transport == "modbus-tcp":
        return ModbusTcp(
            reach.host, reach.port, unit=unit, timeout_s=timeout_s, manners=manners
        )
    if reach.transport == "modbus-rtu":
        port = SerialPort(reach.host, reach.line)
        return ModbusRtu(port, unit=unit, timeout_s=timeout_s, manners=manners)
    bridge = TcpBridge(reach.host, reach.port, reset_at_end=manners.single_connection)
    return ModbusRtu(bridge, unit=unit, timeout_s=timeout_s, manners=manners)
