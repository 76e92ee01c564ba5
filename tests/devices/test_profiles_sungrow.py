"""Sungrow: registers as devices send them, by hand.

The expected numbers are worked out from the makers' conventions: word order, scales,
directions and which model has which register.
"""

from __future__ import annotations

import pytest
from raw_registers import Registers, block, decoder, text, words

from egw.devices.frequency import FrequencyDecoder, frequency_ranges
from egw.devices.loader import find_profile
from egw.devices.meaning import Value
from egw.devices.profile import RegisterRange

SH10RT, SG10RT = 0x0E03, 0x2434


def sungrow(registers: Registers, name: str = "sungrow") -> dict[str, Value]:
    """Decode what an inverter with these registers, and zeros else, answers."""
    ranges = [(4949, 87), (4999, 110), (5112, 50), (5213, 29), (5600, 39), (5722, 24)]
    blocks = [block("input", *part, registers) for part in [*ranges, (12999, 119)]]
    return decoder(name).decode(blocks)


def test_a_sungrow_hybrid_is_decoded_low_word_first() -> None:
    registers = (
        text(4989, "A2350415770\0")
        | words(4999, SH10RT, 100, 1)
        | words(5016, 0x1170, 0x0001)
        | words(5018, 2326, 2337, 2347)
        | words(13030, -9, -8, -9)
        | words(13033, -461, 0xFFFF)
    )

    values = sungrow(registers, "sungrow_hybrid")

    assert values["serial_number"] == "A2350415770"
    assert values["model"] == "SH10RT"
    assert values["rated_power_w"] == 10_000
    assert values["output_type"] == "three phase four wire"
    assert values["pv_power_w"] == 70_000
    assert values["l1_voltage_v"] == 232.6
    assert values["l3_current_a"] == -0.9
    assert values["active_power_w"] == -461


def test_a_sungrow_counts_tenths_as_a_hybrid_and_whole_units_as_a_string() -> None:
    yield_and_fine = words(5003, 1679, 0) | words(5143, 16794, 0)

    hybrid = sungrow(words(4999, SH10RT) | yield_and_fine)
    string = sungrow(words(4999, SG10RT) | yield_and_fine)

    assert hybrid["energy_generated_total_wh"] == 167_900
    assert "energy_generated_fine_total_wh" not in hybrid
    assert string["energy_generated_total_wh"] == 1_679_000
    assert string["energy_generated_fine_total_wh"] == 1_679_400


@pytest.mark.parametrize("unknown", [0, 0xFFFF])
def test_a_sungrow_without_a_type_code_has_no_doubtful_yield(unknown: int) -> None:
    values = sungrow(words(4999, unknown) | words(5003, 1679))

    assert "energy_generated_total_wh" not in values
    assert values["pv_power_w"] == 0


def test_a_sungrow_string_inverter_has_its_own_registers_under_the_same_keys() -> None:
    registers = (
        words(4999, SG10RT)
        | words(5021, 123, 124, 125)
        | words(5030, 8450, 0)
        | words(5037, 0x8100)
        | words(5082, -2500, 0xFFFF)
        | words(5090, 5950, 0)
        | words(5094, 12345, 1)
        | words(5098, 400, 0)
    )

    values = sungrow(registers)

    assert values["l2_current_a"] == 12.4
    assert values["active_power_w"] == 8450
    assert values["device_status"] == "derating"
    assert values["meter_power_w"] == -2500
    assert values["load_power_w"] == 5950
    assert values["grid_export_energy_total_wh"] == 7_788_100
    assert values["grid_import_energy_total_wh"] == 40_000
    assert "battery_soc_percent" not in values
    assert values["model"] == SG10RT


def test_what_a_sungrow_string_inverter_draws_at_night_is_a_small_negative() -> None:
    values = sungrow(words(4999, SG10RT) | words(5030, -12, 0xFFFF))

    assert values["active_power_w"] == -12


@pytest.mark.parametrize(
    ("flow", "power", "current", "charged_w", "charged_a"),
    [
        pytest.param(0b0011, 1500, 70, 1500, 7.0, id="old firmware charges"),
        pytest.param(0b0100, 1500, 70, -1500, -7.0, id="old firmware discharges"),
        pytest.param(0b0011, -1500, -70, 1500, 7.0, id="new firmware charges"),
        pytest.param(0b0100, 1500, 70, -1500, -7.0, id="new firmware discharges"),
    ],
)
def test_the_battery_of_any_sungrow_firmware_is_positive_while_charging(
    flow: int, power: int, current: int, charged_w: int, charged_a: float
) -> None:
    registers = words(4999, SH10RT) | words(13000, flow) | words(13020, current, power)

    values = sungrow(registers)

    assert values["battery_power_w"] == charged_w
    assert values["battery_current_a"] == charged_a


def test_a_sungrow_hybrid_has_its_battery_and_counters() -> None:
    registers = (
        words(4999, SH10RT)
        | words(12999, 0x0040, 0b1001_0011)
        | words(13002, 5750, 0)
        | words(13019, 2564, 0, 0, 876, 1000, 215)
        | words(13026, 1000, 0)
        | words(13036, 0x0000, 0x0001)
        | words(13040, 1200, 0)
        | words(13045, 333, 0)
    )

    values = sungrow(registers)

    assert values["device_status"] == "running"
    assert values["power_flow_status"] == [
        "pv generating",
        "battery charging",
        "feeding grid",
        "power generated from load",
    ]
    assert values["pv_energy_total_wh"] == 575_000
    assert values["battery_voltage_v"] == 256.4
    assert values["battery_soc_percent"] == 87.6
    assert values["battery_soh_percent"] == 100.0
    assert values["battery_temperature_c"] == 21.5
    assert values["battery_discharge_energy_total_wh"] == 100_000
    assert values["battery_charge_energy_total_wh"] == 120_000
    assert values["grid_import_energy_total_wh"] == 6_553_600
    assert values["grid_export_energy_total_wh"] == 33_300


def test_the_grid_power_of_a_sungrow_hybrid_never_comes_from_a_mute_meter() -> None:
    registers = (
        words(4999, SH10RT)
        | words(13009, 480, 0)
        | words(5600, 0, 0, 293, 0, -440, 0xFFFF, 164, 0)
    )

    values = sungrow(registers)

    assert values["meter_power_w"] == -480
    assert values["external_meter_power_w"] == 0
    assert values["meter_l2_power_w"] == -440


def test_a_sungrow_hybrid_without_a_battery_has_no_state_of_charge() -> None:
    values = sungrow(words(4999, SH10RT) | words(13019, 0, 0, 0, 0))

    assert "battery_soc_percent" not in values
    assert "battery_soh_percent" not in values


def test_the_fine_frequency_of_a_sungrow_comes_from_its_own_family() -> None:
    fine = words(5147, 0) | words(5241, 4998)

    values = sungrow(words(4999, SH10RT) | fine)

    assert values["grid_frequency_fine_hz"] == 49.98


def test_a_sungrow_string_inverter_that_says_all_ones_says_nothing() -> None:
    ones = words(5021, 0xFFFF, 0xFFFF, 0xFFFF) | words(5030, 0xFFFF, 0xFFFF)

    values = sungrow(words(4999, SG10RT) | ones)

    assert "active_power_w" not in values
    assert "l1_current_a" not in values


@pytest.mark.parametrize("name", ["sungrow", "sungrow_hybrid", "sungrow_sf"])
@pytest.mark.parametrize(
    ("raw", "hertz"), [(500, 50.0), (599, 59.9), (4997, 49.97), (6002, 60.02)]
)
def test_a_sungrow_frequency_tells_its_own_resolution(
    name: str, raw: int, hertz: float
) -> None:
    profile = find_profile(name)

    read = frequency_ranges(profile)

    assert read == (RegisterRange(function="input", address=5035, count=1),)
    frequency = FrequencyDecoder(profile).frequency_hz(
        block("input", 5035, 1, {5035: raw})
    )
    assert frequency == hertz


@pytest.mark.parametrize("raw", [0, 50, 1000, 0xFFFF])
def test_a_sungrow_number_that_is_no_frequency_is_none(raw: int) -> None:
    assert "grid_frequency_hz" not in sungrow(words(5035, raw))


def test_a_sungrow_on_a_grid_of_three_wires_has_voltages_between_phases() -> None:
    values = sungrow(words(4999, SG10RT, 100, 2) | words(5018, 4001, 4002, 4003))

    assert values["l1_l2_voltage_v"] == 400.1
    assert values["l3_l1_voltage_v"] == 400.3
    assert "l1_voltage_v" not in values


def test_a_sungrow_tracker_that_a_model_lacks_is_absent() -> None:
    values = sungrow(words(4999, SH10RT) | words(5010, 5757, 5, 2550, 6, 0xFFFF))

    assert values["mppt1_voltage_v"] == 575.7
    assert values["mppt2_current_a"] == 0.6
    assert "mppt3_voltage_v" not in values


def test_sungrow_alarms_and_settings_of_the_same_numbers_are_apart() -> None:
    numbers = words(13049, 2, 0xAA)
    blocks = [
        block("input", 4999, 1, words(4999, SH10RT)),
        block("input", 12999, 119, numbers),
        block("holding", 13049, 51, numbers | words(13057, 1000, 50)),
    ]

    values = decoder("sungrow").decode(blocks)

    assert values["inverter_alarm_bits"] == [
        "bit1",
        "bit17",
        "bit19",
        "bit21",
        "bit23",
    ]
    assert values["ems_mode"] == "forced"
    assert values["battery_forced_command"] == "charge"
    assert values["battery_soc_max_percent"] == 100.0
    assert values["battery_soc_min_percent"] == 5.0
