from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from profile_site import blocks_of
from simulator_client import Ticks

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.loader import builtin_profiles, find_profile
from simulators.bank import ModbusExceptionReply
from simulators.device import SimulatedDevice
from simulators.kind import kind_of
from simulators.plant import Grid, Plant

if TYPE_CHECKING:
    from collections.abc import Collection

SUNSPEC = ("solaredge", "solaredge_us", "fronius", "fronius_sf", "sunspec")
END = 0xFFFF


class Held:
    """A device on a clock that stands still, and what it tells."""

    def __init__(self, name: str, variants: Collection[str] = ()) -> None:
        self.profile = find_profile(name)
        self.kind = kind_of(self.profile, variants)
        ticks = Ticks()
        self.device = SimulatedDevice(
            self.profile,
            Plant(hybrid=True, seed=1, clock=ticks),
            Grid(seed=1, clock=ticks),
            serial="SIM0000001",
            kind=self.kind,
            clock=ticks,
        )

    def told(self) -> dict[str, Any]:
        blocks = [
            Block(
                p.function, p.address, self.device.read(p.function, p.address, p.count)
            )
            for p in blocks_of(self.profile, self.kind)
        ]
        return dict(Decoder(self.profile).decode(blocks))

    def word(self, address: int) -> int:
        return int.from_bytes(self.device.read("holding", address, 1))


@pytest.mark.parametrize(
    ("name", "key", "value", "named"),
    [
        ("huawei", "flux_w", 1, "no point 'flux_w'"),
        ("huawei", "grid_frequency_hz", 700, "does not fit in 0..655.35"),
        ("huawei", "grid_frequency_hz", 655.35, 'the pattern for "no value"'),
        ("huawei", "grid_frequency_hz", "fast", "expected a number, got 'fast'"),
        ("huawei", "grid_frequency_hz", True, "expected a number, got True"),
        ("huawei", "grid_frequency_hz", float("nan"), "not finite"),
        ("huawei", "model", "M" * 31, "longer than 30 bytes"),
        ("huawei", "model", 5, "expected a text, got 5"),
        ("huawei", "device_status", "dancing", "expected .*on grid.*, got 'dancing'"),
        ("sungrow_hybrid", "power_flow_status", ["dancing"], "no flag 'dancing'"),
        ("sungrow_hybrid", "output_type", "three phase three wire", "another kind"),
        ("growatt", "pv_power_w", None, 'has no pattern for "no value"'),
    ],
)
def test_a_value_that_a_point_cannot_say_is_refused_with_the_reason(
    name: str, key: str, value: Any, named: str
) -> None:
    held = Held(name)
    before = held.told()

    with pytest.raises(ValueError, match=named):
        held.device.set_point(key, value)

    assert held.told() == before


def test_points_that_share_a_direction_refuse_a_sign_that_contradicts() -> None:
    held = Held("sungrow_hybrid")
    held.device.set_point("battery_power_w", 500)

    held.device.set_point("battery_current_a", 2.5)
    together = held.told()
    held.device.set_point("battery_power_w", -500)
    held.device.set_point("battery_current_a", -2.5)
    apart = held.told()

    assert (together["battery_power_w"], together["battery_current_a"]) == (500, 2.5)
    assert (apart["battery_power_w"], apart["battery_current_a"]) == (-500, -2.5)


def test_a_scale_register_takes_its_points_along() -> None:
    held = Held("solaredge")
    held.device.set_point("active_power_w", 12_000)
    fine = held.told()["active_power_w"]

    held.device.set_point("active_power_sf", 2)

    assert fine == 12_000
    assert held.told()["active_power_w"] == 12_000
    assert held.word(40083) == 120


def test_a_device_without_a_scale_has_no_values_of_that_scale() -> None:
    held = Held("solaredge")

    held.device.set_point("ac_voltage_sf", None)

    assert "l1_voltage_v" not in held.told()
    assert "active_power_w" in held.told()


def test_a_write_by_a_master_ends_the_hold() -> None:
    held = Held("solaredge")
    held.device.set_point("active_power_limit_percent", 40)

    held.device.write(61441, (70).to_bytes(2, "big"))

    assert held.told()["active_power_limit_percent"] == 70


def test_points_that_are_let_go_follow_the_plant_again() -> None:
    held = Held("huawei")
    before = held.told()["active_power_w"]
    held.device.set_point("active_power_w", -7)
    during = held.told()["active_power_w"]

    held.device.free_points()

    assert during == -7
    assert held.told()["active_power_w"] == pytest.approx(before, abs=50)
    assert before > 1_000


def test_a_register_outside_the_device_cannot_be_pinned() -> None:
    with pytest.raises(ModbusExceptionReply):
        Held("huawei").device.pin("input", 1, 1)


def test_a_kind_of_device_is_picked_by_its_variants() -> None:
    profile = find_profile("sungrow")

    string, hybrid = kind_of(profile), kind_of(profile, ["hybrid"])

    assert "string" in string.variants
    assert not string.has_battery
    assert "hybrid" in hybrid.variants
    assert hybrid.has_battery
    assert "fine_frequency" in kind_of(profile, ["fine_frequency"]).variants
    assert "string" not in kind_of(profile, without=["string"]).variants


@pytest.mark.parametrize(
    ("variants", "named"),
    [
        (["hybri"], "no variant 'hybri'; there are: .*hybrid"),
        (["hybrid", "string"], "no device is hybrid and string at the same time"),
    ],
)
def test_a_kind_that_does_not_exist_is_refused_with_the_reason(
    variants: list[str], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        kind_of(find_profile("sungrow"), variants)


@pytest.mark.parametrize("name", builtin_profiles())
def test_the_usual_kind_of_each_profile_tells_its_frequency(name: str) -> None:
    held = Held(name)

    assert held.profile.frequency in held.told()


@pytest.mark.parametrize("name", SUNSPEC)
def test_the_models_of_a_sunspec_device_form_a_chain_that_ends(name: str) -> None:
    held = Held(name)
    at, models = 40002, []

    while (model := held.word(at)) != END:
        models.append(model)
        at += 2 + held.word(at + 1)

    assert models[0] == 1
    assert models[1] in range(101, 114)
    assert len(models) < 12
