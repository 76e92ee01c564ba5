"""Growatt, GoodWe and SolaX: registers as devices send them, by hand.

The expected numbers are worked out from the makers' conventions: word order, scales,
directions and which model has which register.
"""

from __future__ import annotations

import struct

import pytest
from raw_registers import Registers, block, decoder, text, words

from egw.devices.blocks import Block
from egw.devices.frequency import FrequencyDecoder, frequency_ranges
from egw.devices.loader import find_profile
from egw.devices.meaning import Value


def growatt(*blocks: Block) -> dict[str, Value]:
    return decoder("growatt").decode(blocks)


CLASSIC = (
    words(0, 1, 0, 42_000, 3251, 65, 0, 21_130)
    | words(35, 0, 41_000, 4998, 2301, 178, 0, 41_000)
    | words(53, 0, 123, 1, 2)
    | words(91, 0, 60_000, 451)
)


def test_a_classic_growatt_is_decoded_high_word_first() -> None:
    values = growatt(block("input", 0, 125, CLASSIC))

    assert values["device_status"] == "normal"
    assert values["pv_power_w"] == 4200.0
    assert values["mppt1_voltage_v"] == 325.1
    assert values["mppt1_current_a"] == 6.5
    assert values["mppt1_power_w"] == 2113.0
    assert values["active_power_w"] == 4100.0
    assert values["grid_frequency_hz"] == 49.98
    assert values["l1_voltage_v"] == 230.1
    assert values["l1_current_a"] == 17.8
    assert values["energy_generated_today_wh"] == 12_300
    assert values["energy_generated_total_wh"] == 6_553_800
    assert values["pv_energy_total_wh"] == 6_000_000
    assert values["inverter_temperature_c"] == 45.1


def test_blocks_of_other_growatt_families_that_answer_zeros_say_nothing() -> None:
    classic = block("input", 0, 125, CLASSIC)
    empty = [block("input", address, 125, {}) for address in (1000, 3000, 3125)]

    assert growatt(classic, *empty) == growatt(classic)


TLX = (
    words(3000, 1, 0, 15_000, 3650, 41)
    | words(3023, 0, 14_700, 5001, 2312, 63)
    | words(3041, 0, 0, 0, 9000, 0, 5700)
    | words(3051, 0, 8000)
    | words(3073, 0, 4000)
)


def test_a_growatt_tlx_has_the_standard_keys_from_its_own_block() -> None:
    values = growatt(block("input", 0, 125, {}), block("input", 3000, 125, TLX))

    assert values["pv_power_w"] == 1500.0
    assert values["mppt1_voltage_v"] == 365.0
    assert values["active_power_w"] == 1470.0
    assert values["grid_frequency_hz"] == 50.01
    assert values["l1_voltage_v"] == 231.2
    assert values["load_power_w"] == 570.0
    assert values["grid_export_energy_total_wh"] == 400_000
    assert values["meter_power_w"] == -900.0
    assert values["energy_generated_total_wh"] == 800_000
    assert "inverter_temperature_c" in values
    assert "battery_soc_percent" not in values


def test_a_growatt_tlx_that_never_counted_grid_energy_has_no_grid_power() -> None:
    values = growatt(block("input", 3000, 125, TLX | words(3073, 0, 0)))

    assert values["active_power_w"] == 1470.0
    assert "meter_power_w" not in values
    assert "load_power_w" not in values


def test_a_growatt_tlx_keeps_its_counters_while_the_grid_is_gone() -> None:
    values = growatt(block("input", 3000, 125, TLX | words(3025, 0)))

    assert values["energy_generated_total_wh"] == 800_000
    assert "grid_frequency_hz" not in values


def test_the_battery_of_a_growatt_tlxh_is_charge_minus_discharge() -> None:
    registers = (
        words(3127, 0, 700, 0, 55, 0, 900)
        | words(3169, 40_123, 0, 64)
        | words(3178, 0, 12_000, 0, 0)
    )

    values = growatt(block("input", 3125, 57, registers))

    assert values["battery_power_w"] == -1200.0
    assert values["battery_voltage_v"] == 401.23
    assert values["battery_soc_percent"] == 64
    assert values["battery_discharge_energy_total_wh"] == 70_000
    assert values["battery_charge_energy_total_wh"] == 90_000


def test_a_growatt_with_storage_has_battery_and_grid() -> None:
    registers = (
        words(1009, 0, 0, 0, 25_005, 512, 80)
        | words(1015, 0, 100, 0, 200, 0, 300, 0, 600, 0, 0, 0, 1200)
        | words(1029, 0, 1000)
        | words(1040, 254)
        | words(1046, 1, 0, 0, 0, 0, 31)
        | words(1054, 0, 10, 0, 0, 0, 20)
    )

    values = growatt(block("input", 1000, 125, registers))

    assert values["battery_power_w"] == 2500.5
    assert values["battery_voltage_v"] == 51.2
    assert values["battery_soc_percent"] == 80
    assert values["battery_temperature_c"] == 25.4
    assert values["meter_power_w"] == -40.0
    assert values["meter_l1_power_w"] == 10.0
    assert values["meter_l2_power_w"] == -100.0
    assert values["grid_import_energy_total_wh"] == 6_553_600
    assert values["grid_export_energy_total_wh"] == 3100
    assert values["battery_discharge_energy_total_wh"] == 1000
    assert values["battery_charge_energy_total_wh"] == 2000


def test_a_growatt_that_waits_for_its_battery_still_has_its_grid() -> None:
    registers = words(1021, 0, 5000) | words(1046, 0, 9)

    values = growatt(block("input", 1000, 125, registers))

    assert values["meter_power_w"] == 500.0
    assert "battery_soc_percent" not in values
    assert "battery_power_w" not in values


def test_a_growatt_frequency_is_read_from_either_block() -> None:
    profile = find_profile("growatt")

    reads = {read.address: read.count for read in frequency_ranges(profile)}

    assert reads == {37: 1, 3025: 1}
    sample = FrequencyDecoder(profile).frequency_hz
    assert sample(block("input", 37, 1, {37: 4998})) == 49.98
    assert sample(block("input", 3025, 1, {3025: 6001})) == 60.01
    assert sample(block("input", 3025, 1, {})) is None


def test_the_long_serial_number_of_a_growatt_wins_when_there_is_one() -> None:
    short = block("holding", 23, 5, text(23, "ABC1234567"))
    long = block("holding", 209, 15, text(209, "ABC1234567DE"))
    blank = block("holding", 209, 15, {})

    assert growatt(short, long)["serial_number"] == "ABC1234567DE"
    assert growatt(short, blank)["serial_number"] == "ABC1234567"


def goodwe(registers: Registers) -> dict[str, Value]:
    ranges = [(35000, 40), (35100, 122), (36000, 58), (37000, 24)]
    blocks = [block("holding", *part, registers) for part in ranges]
    return decoder("goodwe").decode(blocks)


def test_a_goodwe_is_decoded_high_word_first() -> None:
    registers = (
        words(35001, 10_000, 1)
        | text(35003, "9010KETU21AW0001")
        | text(35011, "GW10K-ET\0\0")
        | words(35103, 3302, 51, 0, 1684, 2001, 40, 0, 800)
        | words(35111, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF)
        | words(35121, 2304, 33, 5003, 0xFFFF, -760)
        | words(35137, 0xFFFF, -2280)
        | words(35176, 412)
        | words(35187, 1)
        | words(35191, 1, 0, 0, 248)
        | words(35195, 0, 50_000)
        | words(35200, 0, 777)
    )

    values = goodwe(registers)

    assert values["rated_power_w"] == 10_000
    assert values["serial_number"] == "9010KETU21AW0001"
    assert values["model"] == "GW10K-ET"
    assert values["mppt1_voltage_v"] == 330.2
    assert values["mppt1_power_w"] == 1684
    assert "mppt3_voltage_v" not in values
    assert values["pv_power_w"] == 2484
    assert values["grid_frequency_hz"] == 50.03
    assert values["l1_power_w"] == -760
    assert values["active_power_w"] == -2280
    assert values["inverter_temperature_c"] == 41.2
    assert values["device_status"] == "on grid"
    assert values["pv_energy_total_wh"] == 6_553_600
    assert values["pv_energy_today_wh"] == 24_800
    assert values["energy_generated_total_wh"] == 5_000_000
    assert values["grid_import_energy_total_wh"] == 77_700


@pytest.mark.parametrize(
    ("raw_w", "raw_a", "charged_w", "charged_a"),
    [((0, 1800), 40, -1800, -4.0), ((0xFFFF, -1800), -40, 1800, 4.0)],
)
def test_the_battery_of_a_goodwe_is_positive_while_charging(
    raw_w: tuple[int, int], raw_a: int, charged_w: int, charged_a: float
) -> None:
    registers = words(35180, 4500, raw_a, *raw_w) | words(37003, 221, 25, 25, 0, 77, 99)

    values = goodwe(registers)

    assert values["battery_voltage_v"] == 450.0
    assert values["battery_power_w"] == charged_w
    assert values["battery_current_a"] == charged_a
    assert values["battery_temperature_c"] == 22.1
    assert values["battery_soc_percent"] == 77
    assert values["battery_soh_percent"] == 99


def test_the_meter_of_a_goodwe_is_positive_while_importing() -> None:
    energies = struct.unpack(">4H", struct.pack(">ff", 1_234_500.0, 67_000.0))
    registers = (
        words(36005, 1, 2, 3, 6)
        | words(36014, 4999)
        | words(36015, *energies)
        | words(36019, 0, 500, 0xFFFF, -100, 0, 50, 0, 450)
        | words(36052, 2301, 2302, 2303, 22)
        | words(35139, 0, 9999)
    )

    values = goodwe(registers)

    assert values["meter_power_w"] == -450
    assert values["meter_l1_power_w"] == -500
    assert values["meter_l2_power_w"] == 100
    assert values["meter_frequency_hz"] == 49.99
    assert values["meter_l1_voltage_v"] == 230.1
    assert values["meter_l1_current_a"] == 2.2
    assert values["grid_export_energy_total_wh"] == 1_234_500
    assert values["meter_import_energy_total_wh"] == 67_000


def test_the_grid_power_of_a_goodwe_never_comes_from_a_second_place() -> None:
    short = block("holding", 36000, 15, words(36005, -10, -20, -30, -60))
    inverter = block("holding", 35100, 122, words(35139, 0xFFFF, -75))

    values = decoder("goodwe").decode([inverter, short])

    assert "meter_power_w" not in values
    assert "meter_l3_power_w" not in values
    assert values["grid_power_w"] == 75


def test_a_goodwe_without_a_battery_has_no_state_of_charge() -> None:
    values = goodwe(words(35180, 0) | words(37007, 0, 0))

    assert "battery_soc_percent" not in values


def solax(registers: Registers) -> dict[str, Value]:
    ranges = [(0, 100), (100, 100), (200, 9), (290, 12)]
    return decoder("solax").decode(
        [block("input", *part, registers) for part in ranges]
    )


X3 = (
    words(0, 0, 0, 4100, 4100, 3900, 52, 50, 5002, 41, 2, 2132, 1950)
    | words(20, 3150, -32, -1008, 1, 23)
    | words(28, 65)
    | words(29, 4000, 1)
    | words(33, 5000)
    | words(70, -1500, 0xFFFF, 0x86A0, 0x0001, 2500, 0)
    | words(82, 30_000, 0)
    | words(106, 2301, 59, 1360, 5002, 2311, 60, 1370, 5002, 2321, 61, 1370, 5002)
    | words(130, 500, 0, -2500, 0xFFFF, 500, 0)
    | words(148, 12_345, 0)
    | words(200, 5001, 2303, 2302, 2312, 2322, 0, 22, -108, 22)
)


def test_a_three_phase_solax_is_decoded_low_word_first() -> None:
    values = solax(X3)

    assert values["active_power_w"] == 4100
    assert values["mppt1_voltage_v"] == 410.0
    assert values["mppt2_current_a"] == 5.0
    assert values["pv_power_w"] == 4082
    assert values["grid_frequency_hz"] == 50.02
    assert values["inverter_temperature_c"] == 41
    assert values["device_status"] == "normal"
    assert values["l1_voltage_v"] == 230.1
    assert values["l1_current_a"] == 5.9
    assert values["l3_power_w"] == 1370
    assert values["battery_power_w"] == -1008
    assert values["battery_current_a"] == -3.2
    assert values["battery_voltage_v"] == 315.0
    assert values["battery_soc_percent"] == 65
    assert values["battery_discharge_energy_total_wh"] == 6_953_600
    assert values["battery_charge_energy_total_wh"] == 500_000
    assert values["energy_generated_total_wh"] == 3_000_000
    assert values["pv_energy_total_wh"] == 1_234_500


def test_the_third_input_of_a_solax_is_part_of_the_panels_power() -> None:
    with_third = solax(X3 | words(290, 4000, 30, 1200))
    refused = [block("input", 0, 76, X3), block("input", 106, 30, X3)]

    older = decoder("solax").decode(refused, complete=True)
    unread = decoder("solax").decode(refused)

    assert with_third["pv_power_w"] == 5282
    assert older["pv_power_w"] == 4082
    assert "pv_power_w" not in unread


def test_the_meter_of_a_solax_is_positive_while_importing() -> None:
    values = solax(X3)

    assert values["meter_power_w"] == 1500
    assert values["meter_l1_power_w"] == -500
    assert values["meter_l2_power_w"] == 2500
    assert values["meter_l2_current_a"] == -10.8
    assert values["meter_l3_voltage_v"] == 232.2
    assert values["meter_frequency_hz"] == 50.01
    assert values["grid_export_energy_total_wh"] == 1_000_000
    assert values["grid_import_energy_total_wh"] == 25_000


def test_a_single_phase_solax_has_its_phase_in_the_first_registers() -> None:
    values = solax(words(0, 2309, -44, -1016))

    assert values["l1_voltage_v"] == 230.9
    assert values["l1_current_a"] == -4.4
    assert values["active_power_w"] == -1016
    assert "l2_voltage_v" not in values
    assert "l1_power_w" not in values


def test_a_three_phase_solax_whose_phases_were_not_read_has_none() -> None:
    values = decoder("solax").decode([block("input", 0, 76, X3)])

    assert values["active_power_w"] == 4100
    assert "l1_voltage_v" not in values
    assert "l1_current_a" not in values


def test_a_solax_without_a_battery_has_no_state_of_charge() -> None:
    assert "battery_soc_percent" not in solax(X3 | words(28, 0))


def test_a_second_solax_battery_is_there_when_it_has_a_voltage() -> None:
    second = words(295, 2000, 15, 300, 0, 0, 0, 40)

    values = solax(X3 | second)

    assert values["battery2_power_w"] == 300
    assert values["battery2_soc_percent"] == 40
    assert "battery2_soc_percent" not in solax(X3)


def test_a_solax_names_itself() -> None:
    registers = (
        text(0, "H34A10H1234567")
        | text(7, "solax\0\0\0\0\0\0\0\0\0")
        | text(14, "X3-Hybrid-G4\0\0")
    )

    values = decoder("solax").decode([block("holding", 0, 21, registers)])

    assert values["serial_number"] == "H34A10H1234567"
    assert values["manufacturer"] == "solax"
    assert values["model"] == "X3-Hybrid-G4"
