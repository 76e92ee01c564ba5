"""The profiles that come with egw, checked against what is known of the devices."""

from __future__ import annotations

import struct

import pytest

from egw.devices.blocks import Block
from egw.devices.decode import Decoder, frequency_range
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.profile import Function, Profile, RegisterRange


def blocks_of(profile: Profile, registers: dict[int, int]) -> list[Block]:
    """Return the harvest of a device whose other registers are zero."""
    return [
        Block(
            part.function,
            part.address,
            struct.pack(
                f">{part.count}H",
                *(registers.get(n, 0) for n in range(part.address, part.end)),
            ),
        )
        for part in profile.harvest
    ]


def text(address: int, content: str) -> dict[int, int]:
    data = content.encode().ljust(len(content) + len(content) % 2, b"\0")
    numbers = struct.unpack(f">{len(data) // 2}H", data)
    return dict(enumerate(numbers, start=address))


@pytest.mark.parametrize(
    ("name", "harvest", "frequency"),
    [
        (
            "solaredge",
            [("holding", 40000, 61), ("holding", 40069, 37), ("holding", 40121, 70)],
            ("holding", 40085, 2),
        ),
        ("sungrow", [("input", 4999, 110), ("input", 5112, 50)], ("input", 5035, 1)),
        (
            "sungrow_hybrid",
            [
                ("input", 4999, 110),
                ("input", 5112, 50),
                ("input", 13000, 6),
                ("input", 13028, 6),
            ],
            ("input", 5035, 1),
        ),
        (
            "huawei",
            [("holding", 30000, 35), ("holding", 32064, 31)],
            ("holding", 32085, 1),
        ),
        ("growatt", [("input", 0, 92)], ("input", 37, 1)),
        ("lqt40s", [("input", 0, 2)], ("input", 0, 2)),
        ("unknown", [("input", 30000, 1)], ("holding", 0, 1)),
    ],
)
def test_packets_hold_the_registers_that_backends_know(
    name: str,
    harvest: list[tuple[Function, int, int]],
    frequency: tuple[Function, int, int],
) -> None:
    profile = find_profile(name)

    assert [(p.function, p.address, p.count) for p in profile.harvest] == harvest
    assert frequency_range(profile) == RegisterRange(
        function=frequency[0], address=frequency[1], count=frequency[2]
    )


@pytest.mark.parametrize("name", builtin_profiles())
def test_a_device_that_answers_all_ones_has_no_frequency(name: str) -> None:
    profile = find_profile(name)
    part = frequency_range(profile)

    block = Block(part.function, part.address, b"\xff\xff" * part.count)

    assert Decoder(profile).frequency_hz(block) is None


def test_a_huawei_tells_its_power_frequency_state_and_serial_number() -> None:
    profile = find_profile("huawei")
    registers = {
        **text(30000, "SUN2000-5KTL-M1"),
        **text(30015, "HV1234567890"),
        32065: 1900,
        32081: 1873,
        32085: 4999,
        32089: 512,
    }

    values = Decoder(profile).decode(blocks_of(profile, registers))

    assert values["model"] == "SUN2000-5KTL-M1"
    assert values["serial_number"] == "HV1234567890"
    assert values["pv_power_w"] == 1900
    assert values["active_power_w"] == 1873
    assert values["grid_frequency_hz"] == 49.99
    assert values["device_status"] == "on grid"


def test_a_sungrow_counts_energy_by_its_kind() -> None:
    profile = find_profile("sungrow")
    decoder = Decoder(profile)

    string = decoder.decode(blocks_of(profile, {4999: 0x0141, 5003: 1234}))
    hybrid = decoder.decode(blocks_of(profile, {4999: 0x0E03, 5003: 1234}))
    silent = decoder.decode(blocks_of(profile, {4999: 0, 5003: 1234}))

    assert string["total_energy_generated_wh"] == 1_234_000
    assert hybrid["hybrid_total_energy_generated_wh"] == 123_400
    assert "hybrid_total_energy_generated_wh" not in string
    assert "total_energy_generated_wh" not in hybrid
    assert not {"total_energy_generated_wh", "hybrid_total_energy_generated_wh"} & set(
        silent
    )


def test_a_sungrow_sends_the_low_word_first() -> None:
    profile = find_profile("sungrow")

    values = Decoder(profile).decode(blocks_of(profile, {5016: 0x1170, 5017: 1}))

    assert values["pv_power_w"] == 70000


def test_a_solaredge_has_either_strings_or_a_meter_behind_the_inverter() -> None:
    profile = find_profile("solaredge")
    decoder = Decoder(profile)

    strings = decoder.decode(blocks_of(profile, {40121: 160, 40140: 77}))
    meter = decoder.decode(
        blocks_of(profile, {40121: 1, **text(40139, "WND-3Y-400-MB")})
    )

    assert strings["mppt1_current_a"] == 77
    assert "meter_model" not in strings
    assert meter["meter_model"] == "WND-3Y-400-MB"
    assert not any(key.startswith("mppt") for key in meter)


def test_what_is_writable_is_a_setting_and_never_the_grid_code() -> None:
    writable = {
        point.key
        for name in builtin_profiles()
        for point in find_profile(name).points
        if point.write is not None
    }

    assert "active_power_limit_percent" in writable
    assert "battery_forced_command" in writable
    assert not writable & {"grid_code", "startup_command", "shutdown_command"}
