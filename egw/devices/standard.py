"""The standard keys: what a quantity is called, whichever device tells it.

Values are in the unit that a key ends in. Import, charge and generation are positive.
"""

from __future__ import annotations

STANDARD_KEYS: dict[str, str] = {
    "pv_power_w": "DC power of all panels",
    "mpptN_voltage_v": "voltage at tracker N",
    "mpptN_current_a": "current of tracker N",
    "mpptN_power_w": "power of tracker N",
    "pv_energy_today_wh": "DC energy of the panels since midnight",
    "pv_energy_total_wh": "DC energy of the panels, ever",
    "rated_power_w": "rated power of the device",
    "active_power_w": "AC power at the device's output",
    "reactive_power_var": "reactive power at the output",
    "apparent_power_va": "apparent power at the output",
    "power_factor": "power factor at the output",
    "lN_voltage_v": "voltage of phase N to neutral",
    "lN_current_a": "current of phase N",
    "lN_power_w": "power of phase N",
    "l1_l2_voltage_v": "voltage between two phases; also l2_l3 and l3_l1",
    "grid_frequency_hz": "frequency of the grid",
    "inverter_temperature_c": "temperature of the heat sink",
    "energy_generated_today_wh": "AC energy of the device since midnight",
    "energy_generated_total_wh": "AC energy of the device, ever",
    "battery_power_w": "power of the battery",
    "battery_current_a": "current of the battery",
    "battery_voltage_v": "voltage of the battery",
    "battery_soc_percent": "state of charge",
    "battery_soh_percent": "state of health",
    "battery_temperature_c": "temperature of the battery",
    "battery_charge_energy_today_wh": "energy charged since midnight",
    "battery_charge_energy_total_wh": "energy charged, ever",
    "battery_discharge_energy_today_wh": "energy discharged since midnight",
    "battery_discharge_energy_total_wh": "energy discharged, ever",
    "meter_power_w": "power at the grid connection",
    "meter_lN_power_w": "power of phase N at the grid connection",
    "meter_lN_voltage_v": "voltage of phase N at the grid connection",
    "meter_lN_current_a": "current of phase N at the grid connection",
    "meter_frequency_hz": "frequency at the grid connection",
    "grid_import_energy_today_wh": "energy imported since midnight",
    "grid_import_energy_total_wh": "energy imported, ever",
    "grid_export_energy_today_wh": "energy exported since midnight",
    "grid_export_energy_total_wh": "energy exported, ever",
    "load_power_w": "power of the site's loads",
    "load_energy_today_wh": "energy of the loads since midnight",
    "load_energy_total_wh": "energy of the loads, ever",
    "device_status": "operating state, in words where the maker tells them",
    "serial_number": "serial number",
    "model": "type designation",
    "firmware_version": "version of the firmware",
}
"""What they mean. `N` stands for a number from 1; a meter's own phases are those of
the grid connection."""


def instances(key: str) -> tuple[str, ...]:
    """Return the keys that a standard key with an `N` stands for, else the key."""
    if "N" not in key:
        return (key,)
    most = 24 if key.startswith("mppt") else 3
    return tuple(key.replace("N", str(n)) for n in range(1, most + 1))
