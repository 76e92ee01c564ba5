from __future__ import annotations

from typing import Any

import pytest

from egw.devices.model import data_model, power_w
from egw.devices.profile import Harvest, Point, Profile, RegisterRange

STAMP_MS = 1_700_000_000_000

PV = {
    "pv_power_w": 4000,
    "rated_power_w": 5000,
    "mppt1_voltage_v": 400.5,
    "mppt1_current_a": 6.2,
    "mppt2_voltage_v": 380.0,
    "mppt2_current_a": 4.1,
    "inverter_temperature_c": 41.5,
    "pv_energy_total_wh": 9_000_000,
    "energy_generated_total_wh": 8_900_000,
}
BATTERY = {
    "battery_power_w": -1200,
    "battery_current_a": -3.1,
    "battery_voltage_v": 387.0,
    "battery_soc_percent": 57.3,
    "battery_temperature_c": 23.0,
    "battery_charge_energy_total_wh": 700_000,
    "battery_discharge_energy_total_wh": 650_000,
}
METER = {
    "meter_power_w": 250,
    "meter_frequency_hz": 49.98,
    "meter_l1_voltage_v": 231.0,
    "meter_l2_voltage_v": 232.0,
    "meter_l3_voltage_v": 233.0,
    "meter_l1_current_a": 1.5,
    "meter_l2_current_a": -0.5,
    "meter_l3_current_a": 0.25,
    "meter_l1_power_w": 300,
    "meter_l2_power_w": -100,
    "meter_l3_power_w": 50,
    "grid_import_energy_total_wh": 5000,
    "grid_export_energy_total_wh": 6000,
}


def profile(
    kind: Any = "hybrid", *, keys: tuple[str, ...] = ("pv_power_w",)
) -> Profile:
    return Profile(
        name="acme",
        maker="Acme",
        display_name="Acme One",
        kind=kind,
        transports=("modbus-tcp",),
        max_power_w=10_000,
        harvest=Harvest(full=(RegisterRange(function="input", address=0, count=9),)),
        frequency="grid_frequency_hz",
        points=tuple(
            Point(key=key, function="input", address=n, type="u16", count=1)
            for n, key in enumerate(keys)
        ),
    )


def model(values: dict[str, Any], kind: str = "hybrid") -> dict[str, dict[str, Any]]:
    return data_model(profile(kind), values, stamp_ms=STAMP_MS, read_time_ms=120)


def test_every_part_has_type_make_time_and_its_fields() -> None:
    parts = model(PV | BATTERY | METER)

    common = {"make": "Acme", "timestamp": STAMP_MS, "read_time_ms": 120}
    assert parts == {
        "pv": {
            "type": "pv",
            **common,
            "W": -4000,
            "rated_power_W": 5000,
            "mppt1_V": 400.5,
            "mppt1_A": -6.2,
            "mppt2_V": 380.0,
            "mppt2_A": -4.1,
            "heatsink_C": 41.5,
            "total_generation_Wh": 9_000_000,
        },
        "battery": {
            "type": "battery",
            **common,
            "W": -1200,
            "A": -3.1,
            "V": 387.0,
            "SoC_nom_fract": 0.573,
            "heatsink_C": 23.0,
            "total_charge_Wh": 700_000,
            "total_discharge_Wh": 650_000,
        },
        "meter": {
            "type": "meter",
            **common,
            "W": 250,
            "Hz": 49.98,
            "L1_V": 231.0,
            "L2_V": 232.0,
            "L3_V": 233.0,
            "L1_A": 1.5,
            "L2_A": -0.5,
            "L3_A": 0.25,
            "L1_W": 300,
            "L2_W": -100,
            "L3_W": 50,
            "total_import_Wh": 5000,
            "total_export_Wh": 6000,
        },
    }


def test_charge_and_discharge_totals_are_not_mixed_up() -> None:
    battery = model(BATTERY)["battery"]

    assert battery["total_charge_Wh"] != battery["total_discharge_Wh"]


def test_no_generation_is_zero_and_not_minus_zero() -> None:
    pv = model({"pv_power_w": 0.0, "mppt1_current_a": 0})["pv"]

    assert str(pv["W"]) == "0.0"
    assert str(pv["mppt1_A"]) == "0"


@pytest.mark.parametrize("key", sorted((PV | BATTERY | METER).keys() - {"pv_power_w"}))
def test_a_field_whose_value_is_missing_is_absent_and_the_others_stay(key: str) -> None:
    values = PV | BATTERY | METER
    del values["energy_generated_total_wh"]
    whole = count_fields(values)
    was_there = values.pop(key, None) is not None

    assert count_fields(values) == whole - was_there


def count_fields(values: dict[str, Any]) -> int:
    return sum(len(part) for part in model(values).values())


def test_a_device_has_only_the_parts_that_it_has_values_for() -> None:
    assert model({}) == {}
    assert model(PV).keys() == {"pv"}
    assert model(METER).keys() == {"meter"}
    assert model({"battery_voltage_v": 50.1, "l1_voltage_v": 230.0}) == {}


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("battery", "battery_soc_percent"),
        ("meter", "grid_import_energy_total_wh"),
        ("meter", "grid_export_energy_total_wh"),
    ],
)
def test_a_part_without_power_is_there_for_what_it_is_read_for(
    part: str, key: str
) -> None:
    assert model({key: 40}).keys() == {part}


def test_the_meter_takes_voltages_and_frequency_of_the_inverter_when_it_has_none() -> (
    None
):
    own = {"grid_frequency_hz": 50.02, "l1_voltage_v": 229.0, "l1_current_a": 9.0}

    alone = model({"meter_power_w": 10} | own)["meter"]
    both = model(METER | own)["meter"]

    assert (alone["Hz"], alone["L1_V"]) == (50.02, 229.0)
    assert "L1_A" not in alone
    assert (both["Hz"], both["L1_V"]) == (49.98, 231.0)


def test_generation_is_counted_at_the_grid_where_the_panels_have_no_counter() -> None:
    pv = model({"pv_power_w": 1, "energy_generated_total_wh": 77})["pv"]

    assert pv["total_generation_Wh"] == 77


def test_the_voltage_class_is_there_where_the_device_tells_it() -> None:
    assert model({"pv_power_w": 1, "voltage_class": "high"})["pv"]["HV_LV"] == "high"
    assert "HV_LV" not in model({"pv_power_w": 1})["pv"]


def test_an_inverter_without_a_panel_power_generates_what_it_gives_out() -> None:
    simple = profile("inverter", keys=("active_power_w",))

    parts = data_model(
        simple, {"active_power_w": 1500}, stamp_ms=STAMP_MS, read_time_ms=1
    )

    assert parts["pv"]["W"] == -1500


def test_a_missing_panel_power_is_not_replaced_by_what_the_device_gives_out() -> None:
    assert model({"active_power_w": 1500}, "inverter") == {}
    assert model({"active_power_w": 1500}, "hybrid") == {}


def test_a_text_in_place_of_a_number_is_left_out() -> None:
    assert model({"pv_power_w": 5, "rated_power_w": "many"})["pv"].keys() == {
        "type",
        "make",
        "timestamp",
        "read_time_ms",
        "W",
    }


def test_the_power_of_a_device_is_that_of_its_panels_if_it_has_any() -> None:
    everything = {"pv_power_w": 3, "active_power_w": 2, "meter_power_w": 1}

    assert power_w(everything) == 3
    assert power_w({"active_power_w": 2, "meter_power_w": 1}) == 2
    assert power_w({"meter_power_w": -1}) == -1
    assert power_w({"grid_frequency_hz": 50.0}) is None


def test_a_current_at_the_meter_flows_as_its_power_does() -> None:
    sizes = {f"meter_l{n}_current_a": 2.5 for n in (1, 2, 3)}
    powers = {"meter_l1_power_w": -575, "meter_l2_power_w": 575, "meter_l3_power_w": 0}

    meter = data_model(
        profile(), METER | sizes | powers, stamp_ms=STAMP_MS, read_time_ms=0
    )["meter"]

    assert [meter[f"L{n}_A"] for n in (1, 2, 3)] == [-2.5, 2.5, 2.5]
