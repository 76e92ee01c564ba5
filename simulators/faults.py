"""What can be wrong with a simulated device, by option or at run time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from egw.devices.profile import Function
from simulators.pdu import READ_HOLDING, READ_INPUT, registers_asked

if TYPE_CHECKING:
    from collections.abc import Mapping

Chance = bool | Annotated[float, Meta(ge=0, le=1)]
"""Always, never, or with this probability for each request."""

Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Word = Annotated[int, Meta(ge=0, le=65535)]
ExceptionCode = Annotated[int, Meta(ge=1, le=255)]
UnitId = Annotated[int, Meta(ge=0, le=255)]

Oversize = Literal["exception", "silent", "truncate"]
Sleep = Literal["off", "silent", "unavailable", "zeros"]


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Registers that the device refuses: a request that touches one is refused."""

    function: Function
    address: Word
    count: Annotated[int, Meta(ge=1, le=65536)] = 1
    code: ExceptionCode = 2


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is wrong with one device; the default is a healthy one."""

    latency_ms: Milliseconds = 0
    """Each reply waits this long."""
    jitter_ms: Milliseconds = 0
    """Added to the latency: uniform between 0 and this."""
    drop: Chance = False
    """The connection is closed instead of an answer."""
    silent: Chance = False
    """No answer."""
    exception: ExceptionCode | None = None
    """Every request is answered with this exception code."""
    busy: Chance = False
    """The request is answered with the exception `busy_code`."""
    busy_code: ExceptionCode = 6
    refuse: tuple[Refusal, ...] = ()
    max_registers: Annotated[int, Meta(ge=1, le=125)] = 125
    """A read of more registers meets `oversize`."""
    oversize: Oversize = "exception"
    """Exception 3, no answer, or half of the reply."""
    truncate: Chance = False
    """Only the first half of the reply is sent."""
    garbage: Chance = False
    """Random bytes are sent instead of the reply."""
    trailing: Chance = False
    """The last bytes of the reply are sent twice."""
    wrong_transaction_id: Chance = False
    transaction_id: Literal["echo", "counter", "zero"] = "echo"
    """That of all replies: the request's, the bridge's own count, or zero."""
    previous_reply: Chance = False
    """The reply to the request before is sent again, with its transaction id."""
    previous_data: Chance = False
    """What the reply before said is sent again, under the new transaction id."""
    late: Chance = False
    """The reply is kept until the next request has come, on whichever connection."""
    bad_crc: Chance = False
    """The check sum of the reply is wrong; on a serial bus only."""
    noise: Chance = False
    """Random bytes come before the reply; on a serial bus only."""
    single_connection: bool | Literal["refuse", "takeover"] = False
    """A second connection is closed at once while there is one (true, refuse), or
    closes the first (takeover)."""
    linger_ms: Milliseconds = 0
    """A connection that its master has closed counts as open for this long; one that
    it has reset does not."""
    connect_delay_ms: Milliseconds = 0
    """A request sooner than this after its connection is not answered."""
    min_gap_ms: Milliseconds = 0
    """A request sooner than this after the last reply is not answered."""
    settle_ms: Milliseconds = 0
    """For this long after a write the old words are read."""
    units: tuple[UnitId, ...] = ()
    """Unit ids that are answered besides the device's own."""
    sleep: Sleep | None = None
    """By night the device is switched off, does not answer, or tells that its measured
    values are unavailable or zero."""
    off: bool = False
    """Switched off: nobody listens, and open connections are closed."""

    def refusal(self, pdu: bytes) -> int | None:
        """Return the exception code for a request that is to be refused."""
        if self.exception is not None:
            return self.exception
        if happens(self.busy):
            return self.busy_code
        if self.oversize == "exception" and self.is_oversized(pdu):
            return 3
        asked = registers_asked(pdu) if self.refuse else None
        if asked is None:
            return None
        table, address, count = asked
        for block in self.refuse:
            overlap = block.address < address + count and (
                address < block.address + block.count
            )
            if block.function == table and overlap:
                return block.code
        return None

    def is_oversized(self, pdu: bytes) -> bool:
        """Return whether a request reads more registers than the device bears."""
        asked = registers_asked(pdu) if pdu[0] in (READ_HOLDING, READ_INPUT) else None
        return asked is not None and asked[2] > self.max_registers

    def delay_s(self) -> float:
        """Return how long the next reply waits, in seconds."""
        return (self.latency_ms + random.uniform(0, self.jitter_ms)) / 1000


HEALTHY = Faults()


def happens(chance: Chance) -> bool:
    """Return whether a fault strikes this time."""
    if chance is True or chance is False:
        return chance
    return random.random() < chance


def changed(faults: Faults, change: Mapping[str, object] | None) -> Faults:
    """Return `faults` with the named ones replaced; None clears them all.

    Raises msgspec.ValidationError, which names the fault that is wrong.
    """
    if change is None:
        return HEALTHY
    result = msgspec.convert({**msgspec.to_builtins(faults), **change}, Faults)
    return HEALTHY if result == HEALTHY else result
