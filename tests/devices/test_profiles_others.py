"""European and further profiles against registers worked out by hand.

The numbers follow the makers' conventions; two sets are what devices answered.
"""

from __future__ import annotations

import struct

import pytest

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.encode import encode_value
from egw.devices.loader import find_profile
from egw.devices.meaning import Value
from egw.devices.profile import Function

SG04LP3_FROM_586 = bytes.fromhex(
    "04e2148400420000 01a9032c008c0000 0000000000000000 096b096209620000"
    "000000000003fffd 0000000000001388 0033002e002e004f 0058005f00000002"
    "000200040000fff8 0000000200020004 0000096b095f0966 001e002800280069"
    "006c0075014a014a 13880000006c0069 0075014a"
)
"""Registers 586 to 643 of a SUN-12K-SG04LP3 at night, as it answered."""

STRING_INVERTER_FROM_70 = bytes.fromhex(
    "10391005100a095e09400943005d005c005d138804010001ed3b000004910001e8b80000ffbeffff"
)
"""Registers 70 to 89 of a three-phase Deye string inverter, as it answered."""


def holding(address: int, *words: int) -> Block:
    return Block("holding", address, struct.pack(f">{len(words)}H", *words))


def inputs(address: int, *words: int) -> Block:
    return Block("input", address, struct.pack(f">{len(words)}H", *words))


def sparse(
    function: Function, first: int, count: int, registers: dict[int, int]
) -> Block:
    """Return a block in which all other registers are zero."""
    words = [registers.get(address, 0) for address in range(first, first + count)]
    return Block(function, first, struct.pack(f">{count}H", *words))


def text(address: int, content: str, count: int) -> Block:
    return Block("holding", address, content.encode().ljust(2 * count, b"\0"))


def decoded(name: str, *blocks: Block) -> dict[str, Value]:
    return Decoder(find_profile(name)).decode(blocks)


def test_a_huawei_names_itself_and_its_rating() -> None:
    values = decoded(
        "huawei",
        text(30000, "SUN2000-10KTL-M1", 15),
        text(30015, "HV2050123456", 10),
        holding(30073, 0x0000, 0x2710),
    )

    assert values == {
        "model": "SUN2000-10KTL-M1",
        "serial_number": "HV2050123456",
        "rated_power_w": 10000,
    }


def test_a_huawei_sends_the_high_word_first_and_watts() -> None:
    live = {32016: 3805, 32017: 1512, 32065: 5753, 32069: 2312, 32073: 8310}
    power = {32080: 0xFFFF, 32081: 0xFFF6, 32083: 300, 32084: 998, 32085: 4999}

    values = decoded("huawei", sparse("holding", 32016, 70, live | power))

    assert values["mppt1_voltage_v"] == 380.5
    assert values["mppt1_current_a"] == 15.12
    assert values["pv_power_w"] == 5753
    assert values["l1_voltage_v"] == 231.2
    assert values["l1_current_a"] == 8.31
    assert values["active_power_w"] == -10
    assert values["reactive_power_var"] == 300
    assert values["power_factor"] == 0.998
    assert values["grid_frequency_hz"] == 49.99


def test_a_huawei_counts_in_hundredths_of_a_kilowatt_hour() -> None:
    counters = holding(32106, 0x0012, 0xD687, 0xFFFF, 0xFFFF)

    values = decoded("huawei", counters, holding(32114, 0, 2345))

    assert values == {
        "energy_generated_total_wh": 12_345_670,
        "energy_generated_today_wh": 23_450,
    }


def test_a_huawei_string_that_is_not_there_has_no_values() -> None:
    values = decoded(
        "huawei",
        holding(32016, 0x7FFF, 0x7FFF),
        holding(32064, 0x7FFF, 0xFFFF),
        holding(32080, 0x8000, 0x0000),
        holding(32085, 0xFFFF),
    )

    assert values == {}


def test_a_huawei_status_is_told_in_words() -> None:
    values = decoded(
        "huawei", holding(32000, 0b110), holding(32087, 0xFFE7, 1200, 0x0200)
    )

    assert values["state_1"] == ["grid connected", "grid connected normally"]
    assert values["inverter_temperature_c"] == -2.5
    assert values["insulation_resistance_ohm"] == 1_200_000
    assert values["device_status"] == "on grid"


def test_a_huawei_meter_counts_export_as_positive_and_egw_import() -> None:
    meter = {37100: 1, 37102: 2301, 37107: 0xFFFF, 37108: 0xFD74}
    power = {37113: 0, 37114: 1500, 37118: 5002, 37132: 0xFFFF, 37133: 0xFE0C}
    energy = {37119: 0x0001, 37120: 0x86A0, 37122: 250}

    values = decoded(
        "huawei_hybrid", sparse("holding", 37100, 39, meter | power | energy)
    )

    assert values["meter_l1_voltage_v"] == 230.1
    assert values["meter_l1_current_a"] == 6.52
    assert values["meter_power_w"] == -1500
    assert values["meter_l1_power_w"] == 500
    assert values["meter_frequency_hz"] == 50.02
    assert values["grid_export_energy_total_wh"] == 1_000_000
    assert values["grid_import_energy_total_wh"] == 2_500


def test_a_huawei_battery_is_all_storage_units_together() -> None:
    first_unit = holding(37001, 0xFFFF, 0xFB2E)
    all_units = holding(37760, 755, 0, 2, 4021, 0xFFCE, 0xFFFF, 0xF63C)
    totals = holding(37066, 0x0000, 1000, 0x0000, 900)

    values = decoded("huawei_hybrid", first_unit, all_units, totals)

    assert values["battery_power_w"] == -2500
    assert values["battery1_power_w"] == -1234
    assert values["battery_soc_percent"] == 75.5
    assert values["battery_status"] == "running"
    assert values["battery_voltage_v"] == 402.1
    assert values["battery_current_a"] == -5
    assert values["battery1_charge_energy_total_wh"] == 10_000
    assert values["battery1_discharge_energy_total_wh"] == 9_000


def test_a_huawei_without_meter_or_storage_says_nothing_of_them() -> None:
    values = decoded(
        "huawei_hybrid",
        sparse("holding", 37100, 39, {37114: 1500}),
        sparse("holding", 37758, 30, {}),
    )

    assert values["meter_status"] == "offline"
    assert values["battery_status"] == "offline"
    assert "meter_power_w" not in values
    assert "battery_soc_percent" not in values
    assert "battery_power_w" not in values


def test_the_clock_of_a_huawei_cannot_be_written() -> None:
    for name in ("huawei", "huawei_hybrid"):
        profile = find_profile(name)
        assert profile.point("system_time_epoch_s").write is None
        assert profile.point("time_zone_min").write is None


def test_a_deye_without_a_battery_has_no_state_of_charge() -> None:
    values = decoded("deye", holding(0, 5), sparse("holding", 587, 10, {}))

    assert values["battery_power_w"] == 0
    assert "battery_soc_percent" not in values


def test_a_deye_with_a_low_voltage_battery_at_night() -> None:
    values = decoded("deye", holding(0, 5), Block("holding", 586, SG04LP3_FROM_586))

    assert values["battery_temperature_c"] == 25
    assert values["battery_voltage_v"] == 52.52
    assert values["battery_current_a"] == -8.12
    assert values["battery_power_w"] == -425
    assert values["battery_soc_percent"] == 66
    assert values["meter_l1_voltage_v"] == 241.1
    assert values["grid_inner_l2_power_w"] == -3
    assert values["grid_frequency_hz"] == 50
    assert values["meter_l1_current_a"] == 0.79
    assert values["meter_power_factor"] == -0.008
    assert [values[f"meter_l{n}_power_w"] for n in (1, 2, 3)] == [0, 2, 2]
    assert values["meter_power_w"] == 4
    assert [values[f"l{n}_power_w"] for n in (1, 2, 3)] == [105, 108, 117]
    assert values["active_power_w"] == 330
    assert values["backup_power_w"] == 330


def test_a_high_voltage_deye_uses_other_steps_and_the_high_words() -> None:
    battery = {587: 6123, 588: 80, 590: 0xFEA2, 591: 0xFDC4, 595: 20}
    grid = {625: 0x86A0, 690: 0x0001, 636: 0x7960, 694: 0xFFFE}
    panels = {672: 800, 673: 700, 676: 6500, 677: 123}

    values = decoded(
        "deye",
        holding(0, 6),
        sparse("holding", 587, 123, battery | grid | panels),
    )

    assert values["battery_voltage_v"] == 612.3
    assert values["battery1_power_w"] == 3500
    assert values["battery_current_a"] == 5.72
    assert values["battery2_power_w"] == -200
    assert values["battery_power_w"] == 3300
    assert values["meter_power_w"] == 100_000
    assert values["active_power_w"] == -100_000
    assert values["pv_power_w"] == 15_000
    assert values["mppt1_voltage_v"] == 650
    assert values["mppt1_current_a"] == 12.3


def test_a_low_voltage_deye_ignores_the_high_words() -> None:
    registers = {625: 0xFFFE, 690: 0x0000, 636: 100, 694: 0x0001}

    values = decoded("deye", holding(0, 5), sparse("holding", 587, 123, registers))

    assert values["meter_power_w"] == -2
    assert values["active_power_w"] == 100


@pytest.mark.parametrize(
    ("code", "voltage_v"),
    [(5, 52.5), (0x0500, 52.5), (6, 525.0), (7, 525.0), (0x0601, 525.0)],
)
def test_a_deye_tells_its_family_in_either_byte(code: int, voltage_v: float) -> None:
    values = decoded("deye", holding(0, code), holding(587, 5250))

    assert values["battery_voltage_v"] == voltage_v


def test_a_deye_of_unknown_family_has_no_value_that_depends_on_it() -> None:
    live = sparse("holding", 587, 123, {587: 5250, 588: 44, 590: 1, 609: 5000, 672: 1})

    unread = decoded("deye", live)
    single_phase = decoded("deye", holding(0, 3), live)

    for values in (unread, single_phase):
        assert values["battery_soc_percent"] == 44
        assert values["grid_frequency_hz"] == 50
        assert not {"battery_voltage_v", "battery_power_w", "pv_power_w"} & set(values)


def test_a_deye_sends_the_low_word_of_a_number_first() -> None:
    values = decoded(
        "deye",
        text(3, "2207123456", 5),
        holding(20, 0xD4C0, 0x0001),
        holding(522, 0x3039, 0x0001, 0x0064, 0x0000),
        holding(541, 1352),
        holding(586, 0),
    )

    assert values == {
        "serial_number": "2207123456",
        "rated_power_w": 12_000,
        "grid_import_energy_total_wh": 7_788_100,
        "grid_export_energy_total_wh": 10_000,
        "inverter_temperature_c": 35.2,
    }


def test_deye_hybrid_is_deye_under_another_name_and_never_recognised() -> None:
    hybrid, deye = find_profile("deye_hybrid"), find_profile("deye")

    assert hybrid.points == deye.points
    assert hybrid.derived == deye.derived
    assert hybrid.harvest == deye.harvest
    assert hybrid.identification.signs == ()


def test_a_deye_micro_inverter_has_voltage_and_current_of_each_panel() -> None:
    panels = {109: 321, 110: 102, 111: 305, 112: 98}
    output = {73: 2305, 74: 99, 76: 26, 79: 5001, 86: 6012, 90: 4512, 69: 12345}

    values = decoded(
        "deye_micro", holding(0, 4), sparse("holding", 60, 57, panels | output)
    )

    assert values["mppt1_voltage_v"] == 32.1
    assert values["mppt1_current_a"] == 10.2
    assert values["pv_power_w"] == 626.32
    assert values["active_power_w"] == 601.2
    assert values["inverter_temperature_c"] == 35.12
    assert values["mppt1_energy_lifetime_wh"] == 1_234_500
    assert "l2_voltage_v" not in values
    assert "l1_l2_voltage_v" not in values


def test_a_deye_string_inverter_has_three_phases() -> None:
    values = decoded(
        "deye_micro",
        holding(0, 0x0200),
        holding(60, 0x0045, 0, 0, 0x3743, 0),
        Block("holding", 70, STRING_INVERTER_FROM_70),
    )

    assert values["device_type_code"] == "string inverter"
    assert values["energy_generated_today_wh"] == 6_900
    assert values["energy_generated_total_wh"] == 1_414_700
    assert values["l1_l2_voltage_v"] == 415.3
    assert [values[f"l{n}_voltage_v"] for n in (1, 2, 3)] == [239.8, 236.8, 237.1]
    assert [values[f"l{n}_current_a"] for n in (1, 2, 3)] == [9.3, 9.2, 9.3]
    assert values["output_power_w"] == 6656.1
    assert values["pv_power_w"] == 6073.1
    assert values["apparent_power_va"] == 6670.5
    assert values["active_power_w"] == 5957.6
    assert values["reactive_power_var"] == -6.6


def test_a_ferroamp_sends_the_low_word_of_a_float_first_and_kilowatts() -> None:
    values = decoded(
        "ferroamp",
        inputs(2000, 2),
        inputs(2016, 0xEB85, 0x4247),
        inputs(3100, 0x0000, 0xBF00),
        inputs(5100, 0x0000, 0x3FC0),
        inputs(6100, 0x0000, 0x4000),
        inputs(6016, 0x0000, 0x7FC0),
        inputs(6064, 0x5000, 0x449A),
    )

    assert values == {
        "device_status": "running",
        "grid_frequency_hz": 49.98,
        "meter_power_w": -500,
        "pv_power_w": 1500,
        "battery_power_w": -2000,
        "battery_discharge_energy_total_wh": 1_234_500,
    }


def test_charging_by_order_is_a_negative_float_to_a_ferroamp() -> None:
    profile = find_profile("ferroamp")

    words = encode_value(profile, profile.point("battery_power_setpoint_w"), 2500)

    assert words == (0x0000, 0xC020)


def test_an_sdm630_sends_the_high_word_of_a_float_first_and_watts() -> None:
    values = decoded(
        "sdm630",
        inputs(0, 0x4366, 0x8000),
        inputs(12, 0xC49A, 0x5000),
        inputs(52, 0x449A, 0x5000),
        inputs(70, 0x4247, 0xEB85, 0x449A, 0x5000),
        holding(64512, 0x0123, 0x4567),
    )

    assert values == {
        "meter_l1_voltage_v": 230.5,
        "meter_l1_power_w": -1234.5,
        "meter_power_w": 1234.5,
        "grid_frequency_hz": 49.98,
        "grid_import_energy_total_wh": 1_234_500,
        "serial_number": 0x01234567,
    }


def test_a_frequency_meter_and_the_probe_tell_little() -> None:
    meter = decoded("lqt40s", sparse("input", 0, 30, {0: 0x4248, 24: 0x449A}))
    probe = decoded("unknown", inputs(30000, 7), holding(0, 4999))

    assert meter == {"grid_frequency_hz": 50, "meter_power_w": 1232}
    assert probe == {"probe_register": 7, "grid_frequency_hz": 49.99}
    assert find_profile("unknown").identification.signs == ()
