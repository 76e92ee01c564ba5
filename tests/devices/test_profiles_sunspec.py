"""Fronius and generic SunSpec profiles against registers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sunspec_registers import (
    COMMON,
    FACTOR_001,
    FACTOR_01,
    FACTOR_1,
    FLOATS,
    INVERTER,
    NO_FACTOR,
    NOT_IMPLEMENTED,
    block,
    full,
    run,
    slim,
    text,
)

from egw.devices.frequency import FrequencyDecoder, frequency_ranges
from egw.devices.loader import find_profile

MODULES = run(40263, 160, 48, FACTOR_001, FACTOR_01, FACTOR_01, FACTOR_1, 0, 0, 2)


def module(number: int, name: str, *values: int, first: int = 40273) -> dict[int, int]:
    start = first + 20 * (number - 1)
    return {start: number, **text(start + 1, name, 8), **run(start + 9, *values)}


def gen24(charge: Sequence[int], discharge: Sequence[int]) -> dict[int, int]:
    """Two PV inputs, and a battery as modules 3 and 4; then the storage model."""
    return {
        **MODULES,
        **run(40264, 88),
        **run(40271, 4),
        **module(1, "MPPT 1", 820, 4021, 33000, 0x000F, 0x4240),
        **module(2, "MPPT 2", 410, 4022, 16500, 0x0007, 0xA120),
        **module(3, "StCha 3", *charge),
        **module(4, "StDisCha 4", *discharge),
        **run(40353, 124, 24, 10000, 100, 100, 0, NOT_IMPLEMENTED, 700, 8550),
        **run(40362, NOT_IMPLEMENTED, NOT_IMPLEMENTED, 3, 10000, 10000),
        **run(40370, 1, FACTOR_1, 0, NO_FACTOR, FACTOR_001, FACTOR_001),
        **run(40376, NO_FACTOR, NO_FACTOR, FACTOR_001),
    }


def test_fronius_floats_are_read_high_word_first() -> None:
    values = full("fronius", FLOATS)

    assert values["manufacturer"] == "Fronius"
    assert values["ac_current_a"] == 21.75
    assert values["l1_voltage_v"] == 230.5
    assert values["active_power_w"] == 5000.0
    assert values["grid_frequency_hz"] == 49.98
    assert values["reactive_power_var"] == -100.0
    assert values["power_factor"] == 0.985
    assert values["energy_generated_total_wh"] == 12345678.0
    assert values["pv_power_w"] == 5120.0
    assert values["device_status"] == "throttled"
    assert "inverter_temperature_c" not in values


def test_fronius_floats_stay_absent_when_the_device_is_set_to_integers() -> None:
    values = slim("fronius", FLOATS | {40069: 103})

    assert "active_power_w" not in values
    assert "pv_power_w" not in values
    assert values["inverter_model_id"] == 103


def test_fronius_tells_its_rating_and_its_exact_yield() -> None:
    nameplate = run(40131, 120, 26, 82, 1000, 1)
    status = {**run(40191, 122, 44, 7, 7, 1), **run(40196, 0, 0, 0x00BC, 0x614F)}

    values = full("fronius", FLOATS | nameplate | status)

    assert values["der_type"] == "pv with storage"
    assert values["rated_power_w"] == 10000
    assert values["pv_connection_status"] == ["connected", "available", "operating"]
    assert values["grid_connection_status"] == ["connected"]
    assert values["energy_generated_fine_total_wh"] == 12345679


def test_the_yield_of_a_fronius_never_comes_from_its_other_counter() -> None:
    status = {**run(40191, 122, 44, 7, 7, 1), **run(40196, 0, 0, 0x00BC, 0x614F)}
    no_yield = run(40101, 0x7FC0, 0x0000)

    values = full("fronius", FLOATS | status | no_yield)

    assert "energy_generated_total_wh" not in values


def test_a_charging_gen24_battery_is_module_three() -> None:
    charging = gen24([600, 4100, 24600, 0x0003, 0x0D40], [0, 0, 0, 0x0002, 0x49F0])

    values = slim("fronius", FLOATS | charging)

    assert values["battery_power_w"] == 2460.0
    assert values["battery_current_a"] == 6.0
    assert values["battery_voltage_v"] == 410.0
    assert values["battery_charge_energy_total_wh"] == 200000
    assert values["battery_discharge_energy_total_wh"] == 150000
    assert values["mppt2_power_w"] == 1650.0
    assert not [key for key in values if key.startswith("mppt3")]


def test_a_discharging_gen24_battery_is_module_four() -> None:
    values = slim("fronius", FLOATS | gen24([0, 0, 0, 0, 0], [120, 3990, 4800, 0, 0]))

    assert values["battery_power_w"] == -480.0
    assert values["battery_current_a"] == -1.2
    assert values["battery_voltage_v"] == 399.0
    assert values["battery_soc_percent"] == 85.5
    assert values["battery_min_reserve_percent"] == 7.0
    assert values["battery_charge_status"] == "discharging"
    assert values["battery_charge_from_grid"] == "grid allowed"
    assert values["battery_discharge_limit_percent"] == 100.0


def test_an_idle_gen24_battery_has_no_power() -> None:
    values = slim("fronius", FLOATS | gen24([0, 0, 0, 0, 0], [0, 0, 0, 0, 0]))

    assert str(values["battery_power_w"]) == "0.0"
    assert "battery_voltage_v" not in values


def test_the_storage_model_follows_two_modules_directly() -> None:
    registers = {
        **MODULES,
        **module(1, "String 1", 820, 4021, 33000, 0x000F, 0x4240),
        **module(2, "String 2", 410, 4022, 16500, 0x0007, 0xA120),
        **run(40313, 124, 24, 5000, 100, 100, 3, NOT_IMPLEMENTED, 5, 42),
        **run(40322, NOT_IMPLEMENTED, 515, 4, 50, 0xFFFF),
        **run(40331, FACTOR_1, 0, NO_FACTOR, FACTOR_1, FACTOR_1),
        **run(40336, NO_FACTOR, FACTOR_01, FACTOR_1),
    }

    values = slim("fronius", FLOATS | registers)

    assert values["battery_soc_percent"] == 42
    assert values["battery_voltage_v"] == 51.5
    assert values["battery_charge_limit_percent"] == -1
    assert values["storage_control_mode"] == [
        "charge limit active",
        "discharge limit active",
    ]
    assert "battery_power_w" not in values


def test_without_a_storage_model_fronius_tells_no_battery() -> None:
    registers = {
        **MODULES,
        40271: 1,
        **module(1, "MPPT 1", 820, 4021, 33000, 0x000F, 0x4240),
    }

    values = full("fronius", FLOATS | registers)

    assert values["mppt1_current_a"] == 8.2
    assert values["mppt1_energy_total_wh"] == 1000000
    assert not [key for key in values if key.startswith("mppt2")]
    assert "battery_soc_percent" not in values
    assert "battery_power_w" not in values


def test_fronius_integers_stand_ten_registers_lower() -> None:
    lower = {address - 10: word for address, word in gen24([0] * 5, [5] * 5).items()}
    nameplate = run(40121, 120, 26, 4, 820, 1)

    values = full("fronius_sf", INVERTER | nameplate | lower)

    assert values["active_power_w"] == -1558.5
    assert values["grid_frequency_hz"] == 49.98
    assert values["rated_power_w"] == 8200
    assert values["mppt1_voltage_v"] == 402.1
    assert values["battery_power_w"] == -0.5
    assert values["battery_soc_percent"] == 85.5


def test_fronius_integers_stay_absent_when_the_device_is_set_to_floats() -> None:
    values = slim("fronius_sf", FLOATS)

    assert "active_power_w" not in values
    assert "l1_voltage_v" not in values


GENERIC = {address + 1: word for address, word in INVERTER.items()}
GENERIC_FLOATS = {
    address + 1: word for address, word in FLOATS.items() if address >= 40069
}


def test_generic_sunspec_integers_follow_a_common_model_of_66() -> None:
    values = slim("sunspec", GENERIC)

    assert values["active_power_w"] == -1558.5
    assert values["l2_current_a"] == 7.24
    assert values["power_factor_percent"] == -99.99
    assert values["pv_power_w"] == 5108
    assert "power_factor" not in values


def test_generic_sunspec_floats_are_told_by_the_model_id() -> None:
    values = full("sunspec", GENERIC_FLOATS)

    assert values["active_power_w"] == 5000.0
    assert values["pv_power_w"] == 5120.0
    assert values["power_factor"] == 0.985
    assert values["device_status"] == "throttled"
    assert "power_factor_percent" not in values


def test_a_sunspec_device_with_another_layout_gives_no_values() -> None:
    values = full("sunspec", COMMON | INVERTER)

    assert values["manufacturer"] == "SolarEdge"
    assert "active_power_w" not in values
    assert "grid_frequency_hz" not in values


@pytest.mark.parametrize("registers", [GENERIC, GENERIC_FLOATS])
def test_generic_sunspec_frequency_is_sampled_in_both_formats(
    registers: dict[int, int],
) -> None:
    profile = find_profile("sunspec")
    sampler = FrequencyDecoder(profile)

    samples = [
        sampler.frequency_hz(block(r.function, r.address, r.count, registers))
        for r in frequency_ranges(profile)
    ]

    assert {sample for sample in samples if sample is not None} == {49.98}
