"""What actors are constructed with: plain values, cheap to import and to send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egw.devices.reach import Reach, TransportKind
from egw.devices.wire import SerialLine

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class HarvestSettings:
    """What the configuration says about packets and the outbox."""

    path: Path
    endpoints: tuple[str, ...]
    packet_readings: int = 10
    commit_interval_s: float = 10.0
    max_bytes: int = 512 * 1024 * 1024
    max_age_ms: int = 30 * 86_400_000
    keep_done_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What the configuration says about a device."""

    name: str
    profile: str
    host: str
    """Address of the device or bridge; with modbus-rtu the serial port's path."""
    port: int
    """TCP port; 0 with modbus-rtu."""
    unit: int | None
    """None: the profile's, or the first of those that it names that answers."""
    timeout_s: float
    sn: str
    """Used when the device does not name one."""
    frequency: bool
    slot: float
    """0 to 1: where in the 100 ms and the second this device has its turn."""
    profiles_dir: Path | None = None
    learned_file: Path | None = None
    """Where to remember what was found out about the device; None: nowhere."""
    transport: TransportKind = "modbus-tcp"
    line: SerialLine = field(default_factory=SerialLine)

    @property
    def reach(self) -> Reach:
        """How the device is reached."""
        return Reach(self.host, self.port, self.transport, self.line)
