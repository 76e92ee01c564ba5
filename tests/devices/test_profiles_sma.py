"""The SMA profile against registers that were worked out by hand."""

from __future__ import annotations

import struct

import pytest
from raw_registers import block
from sunspec_registers import full, run, slim

from egw.devices.decode import Decoder
from egw.devices.encode import encode_value
from egw.devices.loader import find_profile
from egw.devices.meaning import Value


def i32(address: int, number: int) -> dict[int, int]:
    return run(address, *struct.unpack(">2H", struct.pack(">i", number)))


def sma(cycle: str, *numbers: tuple[int, int]) -> dict[str, Value]:
    """Decode a cycle; signed registers that are not given say "not available"."""
    profile = find_profile("sma")
    registers: dict[int, int] = {}
    for point in profile.points:
        if point.type == "i32":
            registers |= run(point.address, 0x8000, 0x0000)
    for address, number in numbers:
        registers |= i32(address, number)
    return slim("sma", registers) if cycle == "slim" else full("sma", registers)


def test_sma_values_have_fixed_scales() -> None:
    values = sma(
        "slim",
        (30769, 7250),
        (30771, 64012),
        (30775, 9120),
        (30777, 3040),
        (30783, 23051),
        (30797, 13187),
        (30803, 4998),
        (30805, -250),
        (30949, 998),
        (30953, 415),
    )

    assert values["mppt1_current_a"] == 7.25
    assert values["mppt1_voltage_v"] == 640.12
    assert values["active_power_w"] == 9120
    assert values["l1_power_w"] == 3040
    assert values["l1_voltage_v"] == 230.51
    assert values["l1_current_a"] == 13.187
    assert values["grid_frequency_hz"] == 49.98
    assert values["reactive_power_var"] == -250
    assert values["power_factor"] == 0.998
    assert values["inverter_temperature_c"] == 41.5


def test_sma_pv_power_is_the_sum_of_the_inputs_that_there_are() -> None:
    values = sma("slim", (30773, 4641), (30961, 4622))

    assert values["pv_power_w"] == 9263
    assert "mppt3_power_w" not in values


def test_an_sma_inverter_at_night_has_no_values() -> None:
    values = sma("slim")

    for key in ("pv_power_w", "active_power_w", "l1_voltage_v", "grid_frequency_hz"):
        assert key not in values


def test_sma_meter_power_is_what_is_drawn_less_what_is_fed_in() -> None:
    exporting = sma("slim", (30865, 0), (30867, 2500))
    importing = sma("slim", (30865, 812), (30867, 0), (31259, 0), (31265, 300))

    assert exporting["meter_power_w"] == -2500
    assert importing["meter_power_w"] == 812
    assert importing["meter_l1_power_w"] == 300


def test_sma_battery_power_is_charging_less_discharging() -> None:
    discharging = sma("slim", (31393, 0), (31395, 1200), (30845, 63), (30849, 254))
    charging = sma("slim", (31393, 900), (31395, 0), (30851, 40512))

    assert discharging["battery_power_w"] == -1200
    assert discharging["battery_soc_percent"] == 63
    assert discharging["battery_temperature_c"] == 25.4
    assert charging["battery_power_w"] == 900
    assert charging["battery_voltage_v"] == 405.12


def test_an_sma_inverter_without_battery_or_meter_has_neither_power() -> None:
    values = sma("full", (30773, 4641))

    assert "battery_power_w" not in values
    assert "meter_power_w" not in values


def test_sma_yields_come_from_64_bits_or_else_from_the_copy() -> None:
    wide = sma("full", (30513, 1), (30515, 0), (30529, 77))
    copy = sma("full", (30529, 12345678), (30535, 15200))

    assert wide["energy_generated_total_wh"] == 4294967296
    assert copy["energy_generated_total_wh"] == 12345678
    assert copy["energy_generated_today_wh"] == 15200


def test_the_counters_of_sma_batteries_never_take_each_others_place() -> None:
    hybrid = sma("full", (31397, 0), (31399, 5000), (30595, 4000), (30597, 3000))
    older = sma("full", (31397, -1), (31399, -1), (30595, 4000), (30597, 3000))
    profile = find_profile("sma")
    other_read_failed = [
        block("input", 30581, 18, run(30595, 0, 4000, 0, 3000)),
    ]

    assert hybrid["battery_charge_energy_total_wh"] == 5000
    assert older["battery_charge_energy_total_wh"] == 4000
    assert older["battery_discharge_energy_total_wh"] == 3000
    assert (
        Decoder(profile)
        .decode(other_read_failed)
        .keys()
        .isdisjoint(
            {"battery_charge_energy_total_wh", "battery_discharge_energy_total_wh"}
        )
    )


def test_sma_tells_who_it_is_and_how_it_is() -> None:
    values = sma(
        "full",
        (30051, 8001),
        (30053, 9348),
        (30055, 461),
        (30057, 3004857331 - (1 << 32)),
        (30201, 307),
        (30231, 10000),
        (30955, 0x00FFFFFD),
    )

    assert values["device_class"] == "pv inverter"
    assert values["model"] == 9348
    assert values["manufacturer_code"] == "SMA"
    assert values["serial_number"] == 3004857331
    assert values["device_status"] == "ok"
    assert values["rated_power_w"] == 10000
    assert "battery_status" not in values


def test_sma_serial_and_rating_have_second_places() -> None:
    values = sma("full", (30005, 2130001234), (31085, 8000))

    assert values["serial_number"] == 2130001234
    assert values["rated_power_w"] == 8000


def test_sma_values_of_the_grid_connection_never_change_their_source() -> None:
    near = [(31253, 23110), (31435, 4512), (31447, 5001)]
    far = [(30901, 4999), (30903, 22900), (30909, -1500)]

    each_second = sma("slim", *near)
    full_cycle = sma("full", *near, *far)
    only_far = sma("full", *far)

    for values in (each_second, full_cycle):
        assert values["meter_l1_voltage_v"] == 231.1
        assert values["meter_l1_current_a"] == 4.512
        assert values["meter_frequency_hz"] == 50.01
    assert only_far["external_meter_l1_voltage_v"] == 229.0
    assert only_far["external_meter_l1_current_a"] == -1.5
    assert only_far["external_meter_frequency_hz"] == 49.99
    assert "meter_l1_voltage_v" not in only_far
    assert "meter_l1_current_a" not in only_far
    assert "meter_frequency_hz" not in only_far


def test_sma_limits_are_written_in_watts_over_two_registers() -> None:
    profile = find_profile("sma")
    point = profile.point("battery_max_charge_power_w")

    assert encode_value(profile, point, 70000) == (1, 4464)
    with pytest.raises(ValueError, match="battery_max_charge_power_w"):
        encode_value(profile, point, -1)
