"""The chain of models of a SunSpec device, so that any client can walk it.

Source: SunSpec Device Information Model Specification 1.1 and the model definitions:
after the marker each model has its id, its length and its registers; 0xFFFF ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.kind import registers_of, variants_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egw.devices.profile import Profile
    from simulators.bank import Bank
    from simulators.kind import Kind

_MARKER_REGISTERS = 2
_HEAD_REGISTERS = 2
_END = 0xFFFF
_COMMON, _MPPT = 1, 160
_LENGTHS = {
    **dict.fromkeys((101, 102, 103), 50),
    **dict.fromkeys((111, 112, 113), 60),
    120: 26,
    121: 30,
    122: 44,
    123: 24,
    124: 24,
    **dict.fromkeys((201, 202, 203, 204), 105),
    **dict.fromkeys((211, 212, 213, 214), 124),
}
_COMMON_LENGTHS = (65, 66)
_MPPT_HEAD, _MPPT_MODULE, _MPPT_COUNT_AT = 8, 20, 8
_FILLERS = {30: 121, 24: 123}
"""By length: models that stand between those of a profile."""
_OWN_MODEL = 64_900
"""In the range that is left to makers; stands where nothing else fits."""
_LONGEST_CHAIN = 500


def has_models(profile: Profile) -> bool:
    """Return whether a profile's devices have a chain of models."""
    return bool(profile.alternatives("sunspec_marker"))


def model_registers(profile: Profile) -> range:
    """Return the registers that a chain may take: to 500 after the marker."""
    if not has_models(profile):
        return range(0)
    base = profile.point("sunspec_marker").address
    return range(base, base + _LONGEST_CHAIN)


def lay_models(profile: Profile, kind: Kind, bank: Bank) -> None:
    """Write lengths, models in between, and the end of the chain."""
    if not has_models(profile):
        return
    marker = profile.point("sunspec_marker")
    chain = _Chain(profile, kind, bank)
    at = marker.address + _MARKER_REGISTERS
    last = max(chain.starts, default=at)
    while at <= last and (after := chain.lay(at)) is not None:
        at = after
    chain.end(at)


class _Chain:
    def __init__(self, profile: Profile, kind: Kind, bank: Bank) -> None:
        self._profile = profile
        self._kind = kind
        self._bank = bank
        self._table = profile.point("sunspec_marker").function
        self.starts = sorted(self._starts())
        """Where the profile says that models begin."""
        self._taken = {place for point in kind.points for place in registers_of(point)}

    def lay(self, at: int) -> int | None:
        """Complete the model at an address; return where the next begins."""
        length = self._length(at, self._word(at))
        if length is None:
            following = [start for start in self.starts if start > at]
            if not following:
                return None
            length = following[0] - at - _HEAD_REGISTERS
            self._put(at, _FILLERS.get(length, _OWN_MODEL))
        if self._keeps_kind(at + 1, length):
            self._put(at + 1, length)
        after = at + _HEAD_REGISTERS + self._word(at + 1)
        if self._word(at) == _MPPT:
            modules = (self._word(at + 1) - _MPPT_HEAD) // _MPPT_MODULE
            self._put(at + _MPPT_COUNT_AT, modules)
        return after

    def end(self, at: int) -> None:
        """End the chain, unless a point stands there."""
        if (self._table, at) not in self._taken:
            self._put(at, _END)
            self._put(at + 1, 0)

    def _length(self, at: int, model: int) -> int | None:
        if model == _MPPT:
            return _MPPT_HEAD + _MPPT_MODULE * self._word(at + _MPPT_COUNT_AT)
        if model != _COMMON:
            return _LENGTHS.get(model)
        for length in _COMMON_LENGTHS:
            if at + _HEAD_REGISTERS + length in self.starts:
                return length
        return _COMMON_LENGTHS[0]

    def _starts(self) -> Iterator[int]:
        for point in self._kind.points:
            if point.key.endswith("_model_id") and point.function == self._table:
                yield point.address

    def _keeps_kind(self, at: int, word: int) -> bool:
        told = self._kind.words | {(self._table, at): word}
        return variants_of(self._profile, told) == self._kind.variants

    def _word(self, at: int) -> int:
        return int.from_bytes(self._bank.read(self._table, at, 1))

    def _put(self, at: int, word: int) -> None:
        self._bank.write(self._table, at, word.to_bytes(2, "big"))
