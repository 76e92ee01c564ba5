from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from egw.devices.blocks import Block
from egw.devices.identify import find_unit, identify
from egw.devices.loader import builtin_profiles, find_profile, load_profile
from egw.devices.profile import Profile, RegisterRange
from egw.devices.transport import (
    DeviceError,
    Garbage,
    NoAnswer,
    NoConnection,
    Refused,
)

PROFILE = """\
name: tiny
maker: Test
display_name: Tiny
kind: inverter
transports: [modbus-tcp]
default_unit: 3
max_power_w: 10000
harvest: {full: [{function: input, address: 0, count: 2}]}
frequency: grid_frequency_hz
identification:
  serial: [serial_number, dongle_serial_number]
  model: device_type
  signs:
    - {point: device_type, pattern: "^hybrid"}
    - {point: firmware_number, within: [[3, 5], [10, 10]]}
manners: {max_registers: 20, bridge_registers: 4, units: [3, 7, 1]}
points:
  - {key: grid_frequency_hz, function: input, address: 0, type: u16, scale: 0.01}
  - {key: serial_number, function: holding, address: 10, type: str, count: 2}
  - {key: device_type, function: holding, address: 14, type: u16,
    values: {1: string, 2: hybrid one, 3: hybrid three}}
  - {key: firmware_number, function: holding, address: 15, type: u16}
  - {key: dongle_serial_number, function: holding, address: 60, type: u32}
"""
WORDS = {10: 0x534E, 11: 0x3137, 14: 2, 15: 4, 60: 0, 61: 4711}


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    path = tmp_path / "tiny.yaml"
    path.write_text(PROFILE)
    return load_profile(path)


class Registers:
    """What a device says to reads; refuses those that touch a bad register."""

    def __init__(self, words: dict[int, int], *bad: int, code: int = 2) -> None:
        self.words = words
        self.bad = set(bad)
        self.code = code
        self.asked: list[tuple[int, int]] = []

    def read(self, wanted: RegisterRange) -> Block:
        self.asked.append((wanted.address, wanted.count))
        addresses = range(wanted.address, wanted.end)
        if self.bad.intersection(addresses):
            raise Refused(self.code)
        words = [self.words.get(address, 0) for address in addresses]
        data = struct.pack(f">{len(words)}H", *words)
        return Block(wanted.function, wanted.address, data)


def test_a_device_is_known_by_its_serial_number_and_model(profile: Profile) -> None:
    registers = Registers(WORDS)

    found = identify(registers.read, profile)

    assert (found.serial, found.model, found.doubts) == ("SN17", "hybrid one", ())
    assert registers.asked == [(10, 6), (60, 2)]


def test_the_first_serial_number_that_says_something_is_taken(
    profile: Profile,
) -> None:
    words = WORDS | {10: 0, 11: 0}

    assert identify(Registers(words).read, profile).serial == "4711"
    zeros = words | {10: 0x3030, 11: 0x3030, 61: 0}
    assert identify(Registers(zeros).read, profile).serial == ""


def test_registers_that_the_device_lacks_cost_no_others(profile: Profile) -> None:
    registers = Registers(WORDS, 11)

    found = identify(registers.read, profile)

    assert (found.serial, found.model, found.doubts) == ("4711", "hybrid one", ())


def test_a_device_that_is_busy_is_not_one_without_a_serial_number(
    profile: Profile,
) -> None:
    with pytest.raises(Refused):
        identify(Registers(WORDS, 11, code=6).read, profile)


def test_each_sign_that_does_not_hold_is_a_doubt_in_words(profile: Profile) -> None:
    found = identify(Registers(WORDS | {14: 1, 15: 6}).read, profile)

    assert found.doubts == (
        'device_type is "string", expected "hybrid one" or "hybrid three": '
        "is it another type than tiny?",
        "firmware_number is 6, expected 3..5 or 10..10: is it another type than tiny?",
    )


def test_a_sign_that_is_not_told_is_a_doubt(profile: Profile) -> None:
    found = identify(Registers(WORDS, 15).read, profile)

    assert found.doubts == (
        "firmware_number is not told, expected 3..5 or 10..10: "
        "is it another type than tiny?",
    )


def test_a_type_number_without_a_name_is_a_doubt(profile: Profile) -> None:
    (doubt,) = identify(Registers(WORDS | {14: 103}).read, profile).doubts

    assert doubt.startswith("device_type is 103, expected")


def test_a_sign_may_be_the_number_of_an_enumeration(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(PROFILE.replace('pattern: "^hybrid"', "within: [[2, 3]]"))
    profile = load_profile(path)

    assert identify(Registers(WORDS).read, profile).doubts == ()
    (doubt,) = identify(Registers(WORDS | {14: 1}).read, profile).doubts
    assert doubt.startswith('device_type is "string", expected 2..3')


@pytest.mark.parametrize("name", builtin_profiles())
def test_any_device_is_identified_in_few_requests(name: str) -> None:
    registers = Registers({})

    identify(registers.read, find_profile(name))

    assert len(registers.asked) <= 6


class Bus:
    """A Transport to several units; only some of them say anything."""

    def __init__(self, answers: dict[int, DeviceError | None]) -> None:
        self.answers = answers
        self.unit = 0
        self.connected = False
        self.off = False
        self.sent_at_s = 0.0
        self.tried: list[int] = []
        self.loses = 0
        """So many replies."""

    def connect(self) -> None:
        if self.off:
            raise NoConnection("cannot connect")
        self.connected = True

    def close(self) -> None:
        self.connected = False

    def read(self, registers: RegisterRange) -> Block:
        assert self.connected
        self.tried.append(self.unit)
        trouble = self.answers.get(self.unit, NoAnswer("no answer in time"))
        if self.loses:
            self.loses, trouble = self.loses - 1, NoAnswer("no answer in time")
        if trouble is None:
            return Block(registers.function, registers.address, b"\0\0")
        self.connected = isinstance(trouble, Refused)
        raise trouble

    def write(self, address: int, words: Sequence[int]) -> None:
        raise AssertionError("nothing was to be written")

    def rest(self, seconds: float) -> None:
        raise AssertionError("no rest was asked for")


def test_one_lost_reply_does_not_put_another_unit_in_the_place_of_the_right_one(
    profile: Profile,
) -> None:
    bus = Bus({3: None, 7: None})
    bus.loses = 1

    assert find_unit(bus, profile) == 3


def test_units_are_tried_until_one_answers(profile: Profile) -> None:
    bus = Bus({1: None})

    assert find_unit(bus, profile) == 1

    assert bus.tried == [3, 3, 7, 7, 1]
    assert (bus.unit, bus.connected) == (1, True)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6])
def test_a_refusal_is_the_answer_of_a_unit(code: int, profile: Profile) -> None:
    assert find_unit(Bus({7: Refused(code), 1: None}), profile) == 7


@pytest.mark.parametrize(
    "trouble",
    [Refused(10), Refused(11), Garbage("another unit"), NoConnection("broke")],
)
def test_what_is_no_answer_of_the_unit_leads_to_the_next(
    trouble: DeviceError, profile: Profile
) -> None:
    assert find_unit(Bus({3: trouble, 7: None}), profile) == 7


def test_when_no_unit_answers_it_is_said_which_were_tried(profile: Profile) -> None:
    bus = Bus({})

    with pytest.raises(NoAnswer, match=r"no unit id answers \(tried 3, 7, 1\)"):
        find_unit(bus, profile)

    assert bus.unit == 3


def test_a_device_that_is_not_there_has_no_units_to_try(profile: Profile) -> None:
    bus = Bus({3: None})
    bus.off = True

    with pytest.raises(NoConnection):
        find_unit(bus, profile)
