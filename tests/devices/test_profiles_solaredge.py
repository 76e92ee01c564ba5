"""SolarEdge profiles against registers that were worked out by hand."""

from __future__ import annotations

import pytest
from sunspec_registers import (
    COMMON,
    FACTOR_0001,
    FACTOR_001,
    FACTOR_01,
    FACTOR_1,
    INVERTER,
    block,
    full,
    run,
    slim,
    text,
)

from egw.devices.decode import Decoder
from egw.devices.encode import encode_value
from egw.devices.loader import find_profile

METER = {
    **run(40121, 1, 65),
    **text(40123, "WattNode", 16),
    **text(40139, "WND-3Y-400-MB", 16),
    **text(40155, "Export+Import", 8),
    **text(40171, "5012345", 16),
    **run(40188, 203, 105),
    **run(40190, 150, 60, 50, 40, FACTOR_01),
    **run(40195, 2300, 2310, 2290, 2300, 3984, 3990, 3980, 3982, FACTOR_01),
    **run(40204, 4999, FACTOR_001),
    **run(40206, 3200, 1500, 2400, 0xFD44, FACTOR_1),
    **run(40226, 0x0012, 0xD687, 0, 0, 0, 0, 0, 0, 0x0000, 0x3039),
    **run(40242, FACTOR_1),
}

SYNERGY_HEAD = run(40123, FACTOR_001, FACTOR_01, FACTOR_1, FACTOR_1, 0, 0)


def synergy_module(
    number: int, current: int, voltage: int, power: int
) -> dict[int, int]:
    first = 40131 + 20 * (number - 1)
    return {
        first: number,
        **text(first + 1, f"Unit {number}", 8),
        **run(first + 9, current, voltage, power, 0x0001, 0x0000),
    }


def test_solaredge_tells_who_it_is() -> None:
    values = full("solaredge", COMMON | INVERTER)

    assert values["manufacturer"] == "SolarEdge"
    assert values["model"] == "SE10K-RW0TEBEN4"
    assert values["serial_number"] == "7E1A2B3C"
    assert values["inverter_model_id"] == "three phase"


def test_solaredge_values_take_the_factors_that_it_reports() -> None:
    values = slim("solaredge", INVERTER)

    assert values["ac_current_a"] == 21.74
    assert values["l2_current_a"] == 7.24
    assert values["l1_l2_voltage_v"] == 399.1
    assert values["l3_voltage_v"] == 230.6
    assert values["active_power_w"] == -1558.5  # (49951 - 65536) / 10
    assert values["grid_frequency_hz"] == 49.98
    assert values["reactive_power_var"] == -100
    assert values["power_factor_percent"] == -99.99
    assert values["energy_generated_total_wh"] == 20146727  # 0x0133_6A27
    assert values["dc_current_a"] == 6.8
    assert values["dc_voltage_v"] == 751.2
    assert values["dc_power_w"] == 5108
    assert values["inverter_temperature_c"] == 45.12
    assert values["device_status"] == "producing mppt"


def test_solaredge_at_night_says_nothing_instead_of_odd_numbers() -> None:
    night = {40071: 0xFFFF, 40083: 0x8000, 40093: 0, 40094: 0, 40100: 0, 40101: 0x8000}

    values = slim("solaredge", INVERTER | night)

    for key in ("ac_current_a", "active_power_w", "energy_generated_total_wh"):
        assert key not in values
    assert "dc_power_w" not in values  # its factor is not implemented
    assert "cabinet_temperature_c" not in values


def test_what_flows_into_a_solaredge_battery_comes_from_the_panels() -> None:
    decoder = Decoder(find_profile("solaredge"))
    panels = block("holding", 40069, 40, INVERTER)
    charging_1500_w = block("holding", 57708, 28, run(57716, 0x8000, 0x44BB))

    with_battery = decoder.decode([panels, charging_1500_w])
    unanswered = decoder.decode([panels])
    without_battery = decoder.decode([panels], complete=True)

    assert with_battery["battery_power_w"] == 1500
    assert with_battery["pv_power_w"] == 6608
    assert "pv_power_w" not in unanswered
    assert without_battery["pv_power_w"] == 5108


def test_the_same_registers_with_a_finer_factor_are_a_us_grid() -> None:
    values = slim("solaredge_us", INVERTER | run(40085, 59987, FACTOR_0001))

    assert values["grid_frequency_hz"] == 59.987


def test_the_solaredge_meter_counts_import_positive_after_decoding() -> None:
    values = slim("solaredge", INVERTER | METER)

    assert values["meter_power_w"] == -3200
    assert values["meter_l1_power_w"] == -1500
    assert values["meter_l2_power_w"] == -2400
    assert values["meter_l3_power_w"] == 700  # 0xFD44 is -700
    assert values["meter_l1_voltage_v"] == 231.0
    assert values["meter_l3_current_a"] == 4.0
    assert values["meter_frequency_hz"] == 49.99


def test_a_full_solaredge_harvest_reaches_the_counters_of_the_meter() -> None:
    values = full("solaredge", INVERTER | METER)

    assert values["meter_model"] == "WND-3Y-400-MB"
    assert values["meter_serial_number"] == "5012345"
    assert values["meter_model_id"] == "three phase wye"
    assert values["grid_export_energy_total_wh"] == 1234567
    assert values["grid_import_energy_total_wh"] == 12345
    assert "grid_export_l1_energy_total_wh" not in values  # not accumulated


def test_the_name_of_a_solaredge_meter_is_not_taken_for_currents() -> None:
    values = full("solaredge", INVERTER | METER)

    assert not [key for key in values if key.startswith("mppt")]


def test_solaredge_synergy_inverters_tell_each_module() -> None:
    registers = {
        **run(40121, 160, 68),
        **SYNERGY_HEAD,
        40129: 3,
        **synergy_module(1, 1250, 7505, 9381),
        **synergy_module(2, 1200, 7500, 9000),
        **synergy_module(3, 1150, 7495, 8619),
    }

    values = slim("solaredge", INVERTER | registers)

    assert values["mppt_count"] == 3
    assert values["mppt1_input_name"] == "Unit 1"
    assert values["mppt1_current_a"] == 12.5
    assert values["mppt2_voltage_v"] == 750.0
    assert values["mppt3_power_w"] == 8619
    assert values["mppt3_energy_total_wh"] == 65536
    assert "meter_power_w" not in values


def test_a_meter_behind_two_synergy_modules_is_not_taken_for_a_third() -> None:
    registers = {
        **run(40121, 160, 48),
        **SYNERGY_HEAD,
        40129: 2,
        **synergy_module(1, 1250, 7505, 9381),
        **synergy_module(2, 1200, 7500, 9000),
        **run(40171, 1, 65),
        **text(40173, "WattNode by CCS", 16),
    }

    values = slim("solaredge", INVERTER | registers)

    assert values["mppt2_power_w"] == 9000
    assert not [key for key in values if key.startswith("mppt3")]


def test_the_solaredge_battery_comes_low_word_first() -> None:
    battery = {
        **run(57712, 0x4000, 0x43C8),  # 400.5
        **run(57716, 0x8000, 0xC4BB),  # -1500.0
        **run(57718, 0xCD15, 0x075B, 0, 0),  # 123456789
        **run(57722, 0x0000, 0x0000, 0x0001, 0),  # 2 ** 32
        **run(57730, 0xFFFF, 0xFF7F),  # the lowest float
        **run(57732, 0x0000, 0x42B7),  # 91.5
        **run(57734, 4, 0),
    }

    values = slim("solaredge", INVERTER | battery)

    assert values["battery_voltage_v"] == 400.5
    assert values["battery_power_w"] == -1500.0
    assert values["battery_discharge_energy_total_wh"] == 123456789
    assert values["battery_charge_energy_total_wh"] == 4294967296
    assert values["battery_soc_percent"] == 91.5
    assert values["battery_status"] == "discharging"
    assert "battery_soh_percent" not in values


def test_the_mirror_of_the_solaredge_battery_serves_when_it_alone_is_read() -> None:
    profile = find_profile("solaredge")
    mirror = block("holding", 62836, 2, run(62836, 0x0000, 0x447A))

    values = Decoder(profile).decode([mirror])

    assert values == {"battery_power_w": 1000.0}


def test_solaredge_settings_keep_to_what_they_mean() -> None:
    profile = find_profile("solaredge")
    command = profile.point("storage_command_mode")
    limit = profile.point("storage_discharge_limit_w")

    assert encode_value(profile, command, "maximise self-consumption") == (7,)
    assert encode_value(profile, limit, 1500) == (0x8000, 0x44BB)
    with pytest.raises(ValueError, match="storage_command_mode"):
        encode_value(profile, command, 6)
