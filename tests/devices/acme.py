"""Profiles of a device that exists nowhere, made of the points that a test needs."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.profile import (
    WORDS_OF_TYPE,
    Derived,
    Harvest,
    Point,
    Profile,
    RegisterRange,
)

Changes = dict[str, Any]


def point(kind: str, address: int = 0, *, key: str = "value", **more: Any) -> Point:
    plain: Changes = {"key": key, "function": "holding", "address": address}
    count = {"count": WORDS_OF_TYPE[kind]} if kind in WORDS_OF_TYPE else {}
    return msgspec.convert(plain | {"type": kind} | count | more, Point)


def profile(*points: Point, **more: Any) -> Profile:
    everything = RegisterRange(function="holding", address=0, count=100)
    settings: Changes = {
        "name": "acme",
        "maker": "Acme",
        "display_name": "Acme One",
        "kind": "hybrid",
        "transports": ("modbus-tcp",),
        "max_power_w": 10_000,
        "harvest": Harvest(full=(everything,)),
        "frequency": points[0].key,
    }
    return Profile(**(settings | more), points=points)


def derived(key: str, **more: Any) -> Derived:
    return msgspec.convert({"key": key} | more, Derived)


def words(*numbers: int, address: int = 0) -> Block:
    return Block("holding", address, struct.pack(f">{len(numbers)}H", *numbers))


def decode(
    description: Profile, *blocks: Block, complete: bool = False
) -> dict[str, Any]:
    return dict(Decoder(description).decode(blocks, complete=complete))


def value_of(a_point: Point, *numbers: int, **more: Any) -> Any:
    return decode(profile(a_point, **more), words(*numbers)).get("value")
