"""Every contradiction that a profile may have."""

from __future__ import annotations

from pathlib import Path

import pytest
from acme_file import GOOD, changed, write

from egw.devices.loader import load_profile
from egw.devices.profile import ProfileError


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("name", "other", "name: 'other' is not the name of the file"),
        ("colour", "red", "Object contains unknown field colour"),
        ("kind", "toaster", "kind: Invalid enum value 'toaster'"),
        ("default_unit", 256, "default_unit: Expected int <= 255"),
        ("harvest/full", [], "harvest.full: Expected array of length >= 1"),
        (
            "harvest/full_every",
            5,
            "harvest.full_every: without slim ranges every cycle is full",
        ),
        (
            "harvest/slim",
            [{"function": "holding", "address": 65535, "count": 2}],
            "harvest.slim[0]: ends at register 65536, past 65535",
        ),
        ("max_power_w", 0, "max_power_w: Expected int >= 1"),
        ("transports", [], "transports: Expected array of length >= 1"),
        ("transports", ["usb"], "transports[0]: Invalid enum value 'usb'"),
        ("harvest/full/0/count", 0, "harvest.full[0].count: Expected int >= 1"),
        ("harvest/full/0/count", 65536, "harvest.full[0].count: Expected int <= 65535"),
        (
            "harvest/full/0/address",
            65530,
            "harvest.full[0]: ends at register 65549, past 65535",
        ),
        (
            "manners",
            {"max_registers": 126},
            "manners.max_registers: Expected int",
        ),
        ("frequency", "voltage_v", "frequency: there is no point voltage_v"),
        ("frequency", "flags", "frequency: point flags is no plain number"),
        ("frequency", "pv1_w", "frequency: point pv1_w is in W, not in Hz"),
        (
            "identification",
            {"model": "nameplate"},
            "identification.model: there is no point nameplate",
        ),
        (
            "variants/big/within",
            [[5, 3]],
            "variants.big: 5..3 is no span of register values",
        ),
        ("points/flags/colour", 1, "point flags: Object contains unknown field colour"),
        ("points/flags/type", "u12", "point flags: type: Invalid enum value 'u12'"),
        ("points/flags/address", 65536, "point flags: address: Expected int <= 65535"),
        ("points/flags/address", -1, "point flags: address: Expected int >= 0"),
        (
            "points/flags/key",
            "Flags!",
            "point Flags!: key: Expected str matching",
        ),
        (
            "points/serial_number/address",
            65533,
            "point serial_number: address: ends at register 65536, past 65535",
        ),
        ("points/limit_percent/count", 1, "point limit_percent: count: a u32 takes 2"),
        ("points/limit_percent/scale", 0, "point limit_percent: scale: 0 is no scale"),
        (
            "points/limit_percent/scale",
            {"register": 5},
            "point limit_percent: scale register 5: there is no i16 point at holding 5",
        ),
        (
            "points/limit_percent/scale",
            {"register": 1},
            "point limit_percent: write: only the device knows the scale",
        ),
        (
            "points/limit_percent/write",
            {"min": 5, "max": 4},
            "point limit_percent: write: min 5 is above max 4",
        ),
        (
            "points/limit_percent/write",
            {"min": -1, "max": 4},
            "point limit_percent: write: -1 does not fit in u32",
        ),
        (
            "points/flags/write",
            {"min": 0, "max": 1},
            "point flags: write: a bitfield cannot be written",
        ),
        (
            "points/limit_percent/function",
            "input",
            "point limit_percent: write: input registers cannot be written",
        ),
        ("points/flags/bits", {16: "x"}, "point flags: bits: there is no bit 16 in 16"),
        ("points/flags/values", {1: "x"}, "point flags: values: a bitfield has none"),
        (
            "points/frequency_sf/bits",
            {1: "x"},
            "point frequency_sf: bits: a i16 has",
        ),
        (
            "points/flags/scale",
            2,
            "point flags: scale: only a plain number",
        ),
        (
            "points/flags/not_available",
            0x10000,
            "point flags: not_available: 0x10000 does not fit in 1 registers",
        ),
        (
            "points/flags/applies_to",
            ["small"],
            "point flags: applies_to: there is no variant small",
        ),
        (
            "points/flags/address",
            7,
            "point flags: shares holding 7 with limit_percent",
        ),
        (
            "identification/serial",
            ["serial"],
            "identification.serial: there is no point serial",
        ),
        (
            "identification/signs/0/point",
            "type_code",
            "identification.signs: there is no point type_code",
        ),
        (
            "identification/signs/0",
            {"point": "serial_number"},
            "identification.signs: serial_number: needs a pattern or a span",
        ),
        (
            "identification/signs/0/within",
            [[1, 2]],
            "identification.signs: serial_number: needs a pattern or a span",
        ),
        (
            "identification/signs/0/pattern",
            "(AC",
            "identification.signs: serial_number: pattern: missing ), unterminated",
        ),
        (
            "identification/signs",
            [{"point": "serial_number", "within": [[45, 65]]}],
            "identification.signs: serial_number: a text has no span",
        ),
        (
            "identification/signs",
            [{"point": "grid_frequency_hz", "within": [[65, 45]]}],
            "identification.signs: grid_frequency_hz: 65.0..45.0 is no span",
        ),
        ("derived/pv_power_w/sum", [], "derived pv_power_w: needs a sum or products"),
        (
            "derived/pv_power_w/minus",
            ["pv3_w"],
            "derived pv_power_w: there is no point pv3_w",
        ),
        (
            "derived/pv_power_w/sum",
            ["flags"],
            "derived pv_power_w: point flags is no plain number",
        ),
        (
            "derived",
            [{"key": "a_w", "sum": ["pv1_w"]}, {"key": "a_w", "sum": ["pv2_w"]}],
            "derived a_w: the key stands here 2 times",
        ),
        ("derived/pv_power_w/sums", [], "derived pv_power_w: Object contains unknown"),
        (
            "points/serial_number/key",
            "serial_w",
            "point serial_w: key: ends in the unit W, which only a plain number has",
        ),
        (
            "points/pv1_w/values",
            {1: "on"},
            "point pv1_w: key: ends in the unit W, which only a plain number has",
        ),
        ("points/pv1_w/offset", float("nan"), "point pv1_w: offset: is not finite"),
        ("points/pv1_w/scale", 1e300, "point pv1_w: scale: 1e+300 is no scale"),
        (
            "points/grid_frequency_hz/offset",
            1,
            "point grid_frequency_hz: offset: a point with a scale register has none",
        ),
        (
            "points/grid_frequency_hz",
            {**GOOD["points"][0], "type": "f32", "address": 20},
            "point grid_frequency_hz: scale register: a f32 has none",
        ),
        (
            "points/flags/positive",
            "export",
            "point flags: positive: only a plain number has a direction",
        ),
        (
            "points/pv1_w/positive",
            "up",
            "point pv1_w: positive: Invalid enum value 'up'",
        ),
        (
            "points/pv1_w/reversed_when",
            {"register": 8, "mask": 1, "equals": 2},
            "point pv1_w: reversed_when: 0x2 has bits that the mask 0x1 has not",
        ),
        (
            "points/pv1_w/reversed_when",
            {"register": 40, "equals": 2},
            "harvest.full: reads point pv1_w without the register of reversed_when",
        ),
        ("points/pv1_w/high_word", 12, "point pv1_w: high_word: a i16 has none"),
        (
            "points/limit_percent/high_word",
            6,
            "point limit_percent: high_word: is the register of the low word",
        ),
        (
            "points/limit_percent/high_word",
            200,
            "point limit_percent: high_word: 195 registers away, one read has less",
        ),
        (
            "points/pv1_w",
            {**GOOD["points"][5], "type": "i32", "high_word": 21},
            "harvest.full: reads point pv1_w without the way to its high word",
        ),
        (
            "points/limit_percent/high_word",
            12,
            "point limit_percent: write: a point that depends on another register",
        ),
        ("points/pv1_w/encoding", "reversed_hex", "point pv1_w: encoding: a i16 has"),
        (
            "points/serial_number/not_available",
            [0, 1],
            "point serial_number: not_available: an empty text is absent without",
        ),
        (
            "points/pv1_w/not_available",
            [1, 0x10000],
            "point pv1_w: not_available: 0x10000 does not fit in 1 registers",
        ),
        (
            "points/pv1_w/not_available",
            [],
            "point pv1_w: not_available: Expected array of length >= 1",
        ),
        (
            "not_available",
            {"i16": 0x18000},
            "point frequency_sf: not_available: 0x18000 does not fit in 1 registers",
        ),
        (
            "manners",
            {"max_registers": 3},
            "point serial_number: count: one read has 3 registers",
        ),
        (
            "points/pv1_w/applies_to",
            ["other"],
            "point pv1_w: applies_to: there is no variant other",
        ),
        (
            "harvest/full/0/count",
            1,
            "harvest.full: reads point grid_frequency_hz without the scale register",
        ),
        (
            "harvest/slim",
            [{"function": "holding", "address": 0, "count": 1}],
            "harvest.slim: reads point grid_frequency_hz without the scale register",
        ),
        (
            "harvest/slim",
            [{"function": "holding", "address": 10, "count": 1}],
            "harvest.slim: reads other parts of derived pv_power_w, but not pv2_w",
        ),
        (
            "points/pv1_w/applies_to",
            ["far"],
            "harvest.full: reads point pv1_w without the register of its variant",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line_with_file_point_and_reason(
    tmp_path: Path, path: str, value: object, error: str
) -> None:
    with pytest.raises(ProfileError) as mistake:
        load_profile(write(tmp_path, changed(path, value)))

    text = str(mistake.value)
    assert text.startswith(f"acme.yaml: {error}")
    assert "\n" not in text


def test_alternatives_of_one_device_do_not_share_registers(tmp_path: Path) -> None:
    profile = changed("points/pv2_w/applies_to", ["big"])
    profile["points"].append({**profile["points"][-1], "applies_to": ["big", "far"]})

    with pytest.raises(ProfileError, match="point pv2_w: shares holding 11 with pv2_w"):
        load_profile(write(tmp_path, profile))


def test_what_the_frequency_depends_on_fits_in_one_read(tmp_path: Path) -> None:
    profile = changed("points/frequency_sf/address", 126)
    profile["points"][0]["scale"] = {"register": 126}

    with pytest.raises(ProfileError, match="point grid_frequency_hz: what it depends"):
        load_profile(write(tmp_path, profile))
