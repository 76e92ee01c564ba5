"""Sofar and Solis profiles against registers worked out by hand."""

from __future__ import annotations

import struct

import pytest

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.loader import find_profile
from egw.devices.meaning import Value
from egw.devices.profile import Function


def block(
    function: Function, first: int, count: int, registers: dict[int, int]
) -> Block:
    """Return a block in which all other registers are zero."""
    words = [registers.get(address, 0) for address in range(first, first + count)]
    return Block(function, first, struct.pack(f">{count}H", *words))


def text(function: Function, address: int, content: str, count: int) -> Block:
    return Block(function, address, content.encode().ljust(2 * count, b"\0"))


def decoded(name: str, *blocks: Block) -> dict[str, Value]:
    return Decoder(find_profile(name)).decode(blocks)


def test_a_sofar_gives_powers_in_steps_of_ten_watts() -> None:
    grid = {1156: 5001, 1157: 0xFFCE, 1160: 0xFF38, 1165: 2334, 1171: 30, 1199: 250}

    values = decoded("sofar", block("holding", 1152, 48, grid))

    assert values["grid_frequency_hz"] == 50.01
    assert values["active_power_w"] == -500
    assert values["meter_power_w"] == 2000
    assert values["meter_l1_power_w"] == -300
    assert values["l1_voltage_v"] == 233.4
    assert values["load_power_w"] == 2500


def test_a_sofar_sums_its_trackers_and_its_batteries() -> None:
    panels = {1412: 6004, 1413: 1005, 1414: 603, 1417: 291, 1459: 1}
    batteries = {1540: 4801, 1541: 0xFEFF, 1542: 0xFF85, 1544: 55, 1549: 50}

    values = decoded(
        "sofar",
        block("holding", 1408, 52, panels),
        block("holding", 1472, 5, {1476: 89}),
        block("holding", 1536, 60, batteries),
    )

    assert values["mppt1_voltage_v"] == 600.4
    assert values["mppt1_current_a"] == 10.05
    assert values["mppt1_power_w"] == 6030
    assert values["pv_power_w"] == 6030 + 2910 + 10
    assert values["pv_power_coarse_w"] == 8900
    assert values["battery_voltage_v"] == 480.1
    assert values["battery_current_a"] == -2.57
    assert values["battery_power_w"] == -1230 + 500
    assert values["battery_soc_percent"] == 55


def test_a_sofar_total_is_absent_when_a_tracker_was_not_read() -> None:
    values = decoded("sofar", block("holding", 1408, 30, {1414: 603}))

    assert values["mppt1_power_w"] == 6030
    assert "pv_power_w" not in values


def test_a_sofar_counts_the_day_in_finer_steps_than_its_life() -> None:
    counters = {1669: 1234, 1670: 0x0001, 1671: 0x86A0, 1687: 500, 1691: 400}

    values = decoded(
        "sofar",
        text("holding", 1093, "SP1ES015N7A001", 8),
        block("holding", 1664, 28, counters),
    )

    assert values["serial_number"] == "SP1ES015N7A001"
    assert values["pv_energy_today_wh"] == 12_340
    assert values["pv_energy_total_wh"] == 10_000_000
    assert values["battery_charge_energy_total_wh"] == 50_000
    assert values["battery_discharge_energy_total_wh"] == 40_000


def test_a_solis_generates() -> None:
    power = {3004: 0xFFFF, 3005: 0xFFF0, 3007: 5310, 3009: 45678, 3014: 123}
    live = {3021: 4012, 3022: 66, 3033: 2310, 3036: 75, 3041: 0xFFCE, 3042: 4998}

    values = decoded("solis", block("input", 2999, 50, power | live))

    assert values["active_power_w"] == -16
    assert values["pv_power_w"] == 5310
    assert values["energy_generated_total_wh"] == 45_678_000
    assert values["energy_generated_today_wh"] == 12_300
    assert values["mppt1_voltage_v"] == 401.2
    assert values["mppt1_current_a"] == 6.6
    assert values["l1_voltage_v"] == 231
    assert values["l1_current_a"] == 7.5
    assert values["inverter_temperature_c"] == -5
    assert values["grid_frequency_hz"] == 49.98


@pytest.mark.parametrize(
    ("name", "output_type", "voltage"),
    [("solis", 3002, 3033), ("solis_hybrid", 33047, 33073)],
)
def test_a_solis_on_three_wires_measures_line_voltages(
    name: str, output_type: int, voltage: int
) -> None:
    voltages = block("input", voltage, 3, {voltage: 4001, voltage + 2: 3999})

    four_wires = decoded(
        name, block("input", output_type, 1, {output_type: 1}), voltages
    )
    three_wires = decoded(
        name, block("input", output_type, 1, {output_type: 2}), voltages
    )
    unread = decoded(name, voltages)

    assert four_wires["l1_voltage_v"] == 400.1
    assert "l1_l2_voltage_v" not in four_wires
    assert three_wires["l1_l2_voltage_v"] == 400.1
    assert three_wires["l3_l1_voltage_v"] == 399.9
    assert "l1_voltage_v" not in three_wires
    assert unread == {}


def test_a_solis_has_its_serial_number_in_text_or_in_turned_digits() -> None:
    digits = block(
        "input", 3060, 4, {3060: 0x1101, 3061: 0x2F05, 3062: 0x9876, 3063: 1}
    )
    no_text = block("input", 3212, 49, {})
    with_text = text("input", 3229, "1031050229130123", 18)

    old = decoded("solis", digits, no_text)
    new = decoded("solis", digits, with_text)

    assert old["serial_number"] == "101150F267891000"
    assert new["serial_number"] == "1031050229130123"


def test_a_solis_meter_counts_export_as_positive_and_egw_import() -> None:
    meter = {3251: 345, 3256: 0xFFFF, 3257: 0xFE0C, 3263: 800, 3280: 0xFC7C, 3283: 150}

    values = decoded("solis", block("input", 3250, 36, meter | {3285: 70}))

    assert values["meter_l1_current_a"] == 3.45
    assert values["meter_l1_power_w"] == 500
    assert values["meter_power_w"] == -800
    assert values["meter_power_factor"] == -0.9
    assert values["grid_import_energy_total_wh"] == 1500
    assert values["grid_export_energy_total_wh"] == 700


@pytest.mark.parametrize(
    ("power", "direction", "power_w"),
    [
        ((0x0000, 1500), 0, 1500),
        ((0x0000, 1500), 1, -1500),
        ((0xFFFF, 0xFA24), 1, -1500),
        ((0xFFFF, 0xFA24), 0, -1500),
    ],
)
def test_a_solis_battery_discharges_by_its_sign_or_by_its_direction(
    power: tuple[int, int], direction: int, power_w: int
) -> None:
    battery = {33133: 512, 33135: direction, 33139: 71}

    values = decoded(
        "solis_hybrid",
        block(
            "input", 33130, 22, battery | {33149: power[0], 33150: power[1], 33134: 293}
        ),
    )

    assert values["battery_power_w"] == power_w
    assert values["battery_current_a"] == (-29.3 if direction else 29.3)
    assert values["battery_voltage_v"] == 51.2
    assert values["battery_soc_percent"] == 71


def test_a_solis_hybrid_takes_the_newer_meter_power_that_it_has() -> None:
    older = block("input", 33121, 50, {33128: 2301, 33131: 900})
    newer = block("input", 33250, 50, {33251: 2302, 33264: 950, 33252: 412})
    no_value = {33251: 2302, 33263: 0x7FFF, 33264: 0xFFFF}
    not_available = block("input", 33250, 50, no_value)
    zeros = block("input", 33250, 50, {})

    assert decoded("solis_hybrid", older, newer)["meter_power_w"] == -950
    assert decoded("solis_hybrid", older, newer)["meter_l1_current_a"] == 4.12
    assert decoded("solis_hybrid", older)["meter_power_w"] == -900
    assert decoded("solis_hybrid", older, not_available)["meter_power_w"] == -900
    assert decoded("solis_hybrid", older, zeros)["meter_power_w"] == -900


def test_a_solis_without_a_meter_says_nothing_of_the_grid() -> None:
    string = decoded("solis", block("input", 3250, 36, {}))
    hybrid = decoded(
        "solis_hybrid",
        block("input", 33128, 43, {33134: 0}),
        block("input", 33251, 36, {}),
    )

    assert "meter_power_w" not in string
    assert "grid_import_energy_total_wh" not in string
    assert "meter_power_w" not in hybrid
    assert "meter_l1_power_w" not in hybrid
    assert "battery_soc_percent" not in hybrid


def test_a_solis_hybrid_names_itself_and_its_limit() -> None:
    values = decoded(
        "solis_hybrid",
        text("input", 33004, "110CA2205010023", 16),
        block("input", 33104, 1, {33104: 8000}),
        block("input", 33161, 3, {33162: 1234, 33163: 56}),
    )

    assert values == {
        "serial_number": "110CA2205010023",
        "power_limit_percent": 80,
        "battery_charge_energy_total_wh": 1_234_000,
        "battery_charge_energy_today_wh": 5_600,
    }
