from __future__ import annotations

import json
import struct

from hypothesis import given
from hypothesis import strategies as st

from egw.devices.blocks import Block
from egw.messages import Reading
from egw.storage.packet import payload_json

WORDS = st.lists(st.integers(0, 65535), min_size=1, max_size=125)
BLOCKS = st.lists(st.tuples(st.integers(0, 60000), WORDS), max_size=4)


def block(address: int, *words: int) -> Block:
    return Block("input", address, struct.pack(f">{len(words)}H", *words))


def as_python_writes_it(readings: list[Reading]) -> str:
    return json.dumps(
        {
            str(reading.stamp_ms): {
                str(b.address + offset): word
                for b in reading.blocks
                for offset, word in enumerate(b.words)
            }
            for reading in readings
        }
    )


def test_a_payload_has_stamps_and_registers_as_decimal_strings() -> None:
    readings = [
        Reading(1700000000000, (block(30000, 0, 65535), block(5, 7))),
        Reading(1700000001000, (block(30000, 1),)),
    ]

    payload = payload_json(readings)

    assert payload == (
        '{"1700000000000": {"30000": 0, "30001": 65535, "5": 7}, '
        '"1700000001000": {"30000": 1}}'
    )


@given(st.lists(BLOCKS, max_size=3))
def test_a_payload_is_what_json_dumps_writes_byte_for_byte(
    cycles: list[list[tuple[int, list[int]]]],
) -> None:
    readings = []
    for number, blocks in enumerate(cycles):
        # Blocks of one reading never overlap.
        apart = [
            (200 * place + address % 70, words)
            for place, (address, words) in enumerate(blocks)
        ]
        found = tuple(block(address, *words) for address, words in apart)
        readings.append(Reading(1000 * number, found))

    assert payload_json(readings) == as_python_writes_it(readings)


def test_a_payload_without_readings_is_an_empty_object() -> None:
    assert payload_json([]) == "{}"
