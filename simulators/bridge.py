"""How a reply is distorted on its way: by the device or by a bridge in front of it."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from simulators.faults import Faults, happens
from simulators.pdu import registers_asked

if TYPE_CHECKING:
    from simulators.pdu import Registers

_GARBAGE_BYTES = 12
_TRAILING_BYTES = 4


class Bridge:
    """What is between the wire and one device; it outlives connections."""

    def __init__(self) -> None:
        self.previous = b""
        """The last proper reply."""
        self._count = 0
        self._late: list[bytes] = []

    def send(self, faults: Faults, frame: bytes, request: bytes) -> list[bytes]:
        """Return what is sent, in order, instead of a proper reply to a request PDU.

        There may be nothing. What was kept back is sent first.
        """
        due, self._late = self._late, []
        sent = self._distorted(faults, self._renumbered(faults, frame), request)
        self.previous = frame
        if happens(faults.late):
            self._late = [sent]
            return due
        return [*due, sent]

    def _renumbered(self, faults: Faults, frame: bytes) -> bytes:
        if faults.transaction_id == "echo":
            return frame
        self._count = (self._count + 1) % 0x10000
        number = self._count if faults.transaction_id == "counter" else 0
        return number.to_bytes(2, "big") + frame[2:]

    def _distorted(self, faults: Faults, frame: bytes, request: bytes) -> bytes:
        if happens(faults.previous_reply) and self.previous:
            return self.previous
        if happens(faults.previous_data) and self.previous:
            return frame[:2] + self.previous[2:]
        if happens(faults.garbage):
            return os.urandom(_GARBAGE_BYTES)
        cut = faults.oversize == "truncate" and faults.is_oversized(request)
        if cut or happens(faults.truncate):
            return frame[: len(frame) // 2]
        if happens(faults.wrong_transaction_id):
            return bytes((frame[0] ^ 0x55, frame[1] ^ 0x55)) + frame[2:]
        if happens(faults.trailing):
            return frame + frame[-_TRAILING_BYTES:]
        return frame


class Settling:
    """Hides what was written until it has settled."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self._hidden: dict[int, tuple[float, bytes]] = {}

    def before(self, request: bytes) -> dict[int, bytes]:
        """Return the words that a write request is about to replace, by address."""
        asked = registers_asked(request)
        if asked is None or request[0] in (3, 4):
            return {}
        _, address, count = asked
        old = self._registers.read("holding", address, count)
        return {address + n: old[2 * n : 2 * n + 2] for n in range(count)}

    def hide(self, old: dict[int, bytes], until: float) -> None:
        """Show the old words until a time; the first ones, if hidden twice."""
        for address, word in old.items():
            _, first = self._hidden.get(address, (until, word))
            self._hidden[address] = (until, first)

    def shown(self, reply: bytes, request: bytes, now: float) -> bytes:
        """Return a reply to a read with the old words in it."""
        self._hidden = {a: h for a, h in self._hidden.items() if h[0] > now}
        if not self._hidden or request[0] != 3 or reply[0] & 0x80:
            return reply
        _, address, count = struct.unpack(">BHH", request)
        words = bytearray(reply)
        for register in range(address, address + count):
            if register in self._hidden:
                start = 2 + 2 * (register - address)
                words[start : start + 2] = self._hidden[register][1]
        return bytes(words)
