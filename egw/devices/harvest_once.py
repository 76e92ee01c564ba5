"""One full harvest of a device, without a gateway around it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from egw.devices.block_size import BlockSize
from egw.devices.blocks import Block
from egw.devices.plan import HarvestPlan
from egw.devices.profile import Profile, RegisterRange
from egw.devices.transport import NO_SUCH_REGISTERS, DeviceError, Refused, Transport

ATTEMPTS = 3
"""At a block that the device is too busy for, or does not answer."""

BUSY_PAUSE_S = 0.5

SILENT_BLOCKS = 2
"""Blocks in a row that a device may leave unanswered; then it is taken for gone."""


@dataclass(slots=True)
class Harvested:
    """What came, and what did not."""

    stamp_ms: int
    """Start, in wall-clock milliseconds."""
    first_read_ms: int = 0
    last_read_ms: int = 0
    """Wall clock at the answers that brought the first and the last block."""
    max_registers: int = 0
    """Largest block that was asked for."""
    blocks: list[Block] = field(default_factory=list)
    refused: list[RegisterRange] = field(default_factory=list)
    """Registers that the device says it does not have."""
    unanswered: list[RegisterRange] = field(default_factory=list)

    def keep(self, block: Block, now_ms: int) -> None:
        """Add a block that was answered at `now_ms`."""
        if not self.blocks:
            self.first_read_ms = now_ms
        self.last_read_ms = now_ms
        self.blocks.append(block)


def harvest_once(
    device: Transport,
    profile: Profile,
    *,
    progress: Callable[[int, int], None],
) -> Harvested:
    """Read everything that a full cycle reads, refused blocks in parts.

    When long blocks stay unanswered and short ones do not, it begins anew with shorter
    ones. `progress` is told the number of requests that are done and to do. Raises
    DeviceError when the device answers nothing, or stops answering.
    """
    longest = profile.manners.max_registers
    while True:
        plan = HarvestPlan.for_profile(profile, full=True, max_registers=longest)
        found = _harvest(device, plan, progress)
        if isinstance(found, Harvested):
            found.max_registers = longest
            return found
        longest = found


def _harvest(
    device: Transport, plan: HarvestPlan, progress: Callable[[int, int], None]
) -> Harvested | int:
    """Return what came, or how many registers the device bears in one read."""
    pending = deque(plan.due(time.monotonic()))
    harvested = Harvested(_now_ms())
    failure: DeviceError | None = None
    done = silent = 0
    while pending and silent < SILENT_BLOCKS:
        progress(done, done + len(pending))
        wanted = pending.popleft()
        done += 1
        try:
            block = read_patiently(device, wanted)
        except Refused as error:
            silent = 0
            if error.exception_code in NO_SUCH_REGISTERS:
                parts = plan.refused(wanted, time.monotonic())
            else:
                parts = plan.busy(wanted, time.monotonic(), str(error))
                harvested.unanswered.append(wanted)
                failure = error
        except DeviceError as error:
            bearable = _bearable(device, wanted)
            if bearable < wanted.count:
                return bearable
            silent += 1
            parts = plan.busy(wanted, time.monotonic(), str(error))
            harvested.unanswered.append(wanted)
            failure = error
        else:
            silent = 0
            parts = plan.answered(wanted, time.monotonic())
            harvested.keep(block, _now_ms())
        pending.extendleft(reversed(parts))
    harvested.refused.extend(plan.refusing)
    progress(done, done)
    if failure is not None and (silent == SILENT_BLOCKS or not harvested.blocks):
        raise failure
    return harvested


def _bearable(device: Transport, unanswered: RegisterRange) -> int:
    """Return how many of these registers the device answers in one read.

    As many as were asked when it answers none, or is only now and then silent.
    """
    size = BlockSize(unanswered.count)
    for _ in range(ATTEMPTS):
        size.failed(unanswered)
    while (probe := size.probe) is not None:
        try:
            _connected_read(device, probe)
        except Refused:
            size.probed(answered=True)
        except DeviceError:
            size.probed(answered=False)
        else:
            size.probed(answered=True)
    return size.limit


def read_patiently(device: Transport, wanted: RegisterRange) -> Block:
    """Read, connecting if need be, and again after a failure that may pass.

    Raises DeviceError as the last attempt does.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _connected_read(device, wanted)
        except Refused as error:
            if error.exception_code in NO_SUCH_REGISTERS:
                raise
            device.rest(BUSY_PAUSE_S)
        except DeviceError:
            device.close()
    return _connected_read(device, wanted)


def _connected_read(device: Transport, wanted: RegisterRange) -> Block:
    device.connect()
    return device.read(wanted)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
