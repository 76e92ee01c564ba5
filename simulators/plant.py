"""The physics behind a simulated device: sun, grid, house and battery.

Not a model for planning plants: it keeps the sums right (power is voltage times
current, energy is power over time, what is generated is used, stored or exported) so
that a reader's mistakes in scale, sign or word order show. Import, charge and
generation are positive.
"""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Flow = Literal[
    "pv",
    "generated",
    "grid_export",
    "grid_import",
    "load",
    "battery_charge",
    "battery_discharge",
    "direct_consumption",
    "reactive",
]
Span = Literal["total", "today", "yesterday"]

NOMINAL_HZ = 50.0
FREQUENCY_SD_HZ = 0.020
FREQUENCY_RELAXATION_S = 40.0
CLOUD_RELAXATION_S = 120.0
INVERTER_EFFICIENCY = 0.97
POWER_FACTOR = 0.995
BATTERY_CAPACITY_WH = 10_000.0
BATTERY_EMPTY_V = 190.0
BATTERY_FULL_V = 220.0
BATTERY_MAX_W = 3_000.0
MPPT_SHARES = (0.55, 0.45)
"""How the array's power is shared out over its two trackers."""
LOAD_SHARES = (0.4, 0.35, 0.25)
"""How the house's load is shared out over the phases."""
SUNRISE_H = 5.0
SUNSET_H = 21.0
DAY_S = 86_400.0


class MeanReverting:
    """An Ornstein-Uhlenbeck process: a random walk that is drawn back to zero."""

    def __init__(
        self, *, sd: float, relaxation_s: float, chance: random.Random
    ) -> None:
        self._sd = sd
        self._relaxation_s = relaxation_s
        self._chance = chance
        self.value = chance.gauss(0.0, sd)

    def advance(self, seconds: float) -> float:
        """Let time pass and return the new value; exact for any step."""
        kept = math.exp(-seconds / self._relaxation_s)
        spread = self._sd * math.sqrt(1.0 - kept * kept)
        self.value = self.value * kept + self._chance.gauss(0.0, spread)
        return self.value


class Grid:
    """The frequency of the grid, which all devices of a site share."""

    def __init__(
        self, *, seed: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._deviation = MeanReverting(
            sd=FREQUENCY_SD_HZ,
            relaxation_s=FREQUENCY_RELAXATION_S,
            chance=random.Random(seed),
        )
        self._at = clock()

    def frequency_hz(self) -> float:
        """Return the frequency now: about 50 Hz, give or take 20 mHz."""
        now = self._clock()
        elapsed_s, self._at = now - self._at, now
        return NOMINAL_HZ + self._deviation.advance(max(elapsed_s, 0.0))


class Plant:
    """One device's surroundings; `advance` brings every attribute up to date."""

    def __init__(
        self,
        *,
        hybrid: bool = False,
        phases: int = 3,
        rated_power_w: float = 10_000.0,
        start_hour: float = 10.0,
        day_length_s: float = DAY_S,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the day at `start_hour` (0..24); a day takes `day_length_s` seconds.

        `hybrid` says that there is a battery; `phases` is 1 or 3.
        """
        self.hybrid = hybrid
        self.phases = phases
        self.rated_power_w = rated_power_w
        self._start_hour = start_hour
        self._day_length_s = day_length_s
        self._clock = clock
        self._chance = random.Random(seed)
        self._cloud = MeanReverting(
            sd=0.08, relaxation_s=CLOUD_RELAXATION_S, chance=self._chance
        )
        self._started_at = self._at = clock()
        self._day = 0
        self._hours_lit = 0.0
        self.hour = start_hour
        self.mppt_voltage_v = [0.0 for _ in MPPT_SHARES]
        self.mppt_power_w = [0.0 for _ in MPPT_SHARES]
        self.phase_voltage_v = [230.0, 230.0, 230.0]
        self.pv_power_w = 0.0
        self.active_power_w = 0.0
        """AC power of the inverter; negative while it charges from the grid."""
        self.peak_power_today_w = 0.0
        self.load_power_w = 0.0
        self.meter_power_w = 0.0
        """Where house and grid meet."""
        self.battery_power_w = 0.0
        self.battery_soc_percent = 55.0
        self.temperature_c = 30.0
        self.total_wh: dict[Flow, float] = {
            "pv": 12_650_000.0,
            "generated": 12_300_000.0,
            "grid_export": 7_100_000.0,
            "grid_import": 4_200_000.0,
            "load": 9_400_000.0,
            "battery_charge": 2_150_000.0 if hybrid else 0.0,
            "battery_discharge": 1_990_000.0 if hybrid else 0.0,
            "direct_consumption": 5_200_000.0,
            "reactive": 1_210_000.0,
        }
        self.total_wh_at_start = dict(self.total_wh)
        self.today_wh: dict[Flow, float] = dict.fromkeys(self.total_wh, 0.0)
        self.yesterday_wh: dict[Flow, float] = {
            flow: total_wh / 400 for flow, total_wh in self.total_wh.items()
        }
        self.advance()

    @property
    def uptime_s(self) -> float:
        """Seconds since the device was switched on."""
        return self._at - self._started_at

    @property
    def hours_lit_today(self) -> float:
        """Hours of sunshine since midnight or the start."""
        return self._hours_lit

    @property
    def is_dark(self) -> bool:
        """Whether it is night."""
        return not SUNRISE_H < self.hour < SUNSET_H

    @property
    def battery_voltage_v(self) -> float:
        """Rises with the state of charge; zero without a battery."""
        if not self.hybrid:
            return 0.0
        rise_v = BATTERY_FULL_V - BATTERY_EMPTY_V
        return BATTERY_EMPTY_V + rise_v * self.battery_soc_percent / 100

    def energy_wh(self, flow: Flow, span: Span) -> float:
        """Return how much has flowed in a time."""
        if span == "total":
            return self.total_wh[flow]
        return (self.today_wh if span == "today" else self.yesterday_wh)[flow]

    def output_w(self, phase: int) -> float:
        """Return the inverter's power on a phase, 0 to 2."""
        return self.active_power_w / self.phases if phase < self.phases else 0.0

    def load_w(self, phase: int) -> float:
        """Return the house's load on a phase, 0 to 2."""
        if self.phases == 1:
            return 0.0 if phase else self.load_power_w
        return LOAD_SHARES[phase] * self.load_power_w

    def meter_w(self, phase: int) -> float:
        """Return what is imported on a phase, 0 to 2."""
        return self.load_w(phase) - self.output_w(phase)

    def advance(self) -> None:
        """Bring the plant up to the clock."""
        now = self._clock()
        elapsed_s, self._at = max(now - self._at, 0.0), now
        days, self.hour = divmod(
            self._start_hour + 24.0 * self.uptime_s / self._day_length_s, 24.0
        )
        if int(days) != self._day:
            self._begin_day(int(days))
        self._shine(elapsed_s)
        self._use_and_store()
        self._count_energy(24.0 * elapsed_s / self._day_length_s)

    def _begin_day(self, day: int) -> None:
        self._day = day
        self.yesterday_wh = self.today_wh
        self.today_wh = dict.fromkeys(self.total_wh, 0.0)
        self.peak_power_today_w = 0.0
        self._hours_lit = 0.0

    def _shine(self, elapsed_s: float) -> None:
        passed = (self.hour - SUNRISE_H) / (SUNSET_H - SUNRISE_H)
        height = 0.0 if self.is_dark else max(math.sin(math.pi * passed), 0.0)
        cloud = min(max(0.8 + self._cloud.advance(elapsed_s), 0.1), 1.0)
        available_w = self.rated_power_w * height**1.3 * cloud
        for tracker, share in enumerate(MPPT_SHARES):
            self.mppt_power_w[tracker] = share * available_w
            self.mppt_voltage_v[tracker] = (
                380.0 - 25.0 * tracker + 30.0 * height + self._chance.uniform(-1, 1)
                if height
                else 2.0 + tracker
            )
        self.pv_power_w = sum(self.mppt_power_w)
        self.phase_voltage_v = [
            230.0 + phase + self._chance.uniform(-0.8, 0.8)
            for phase in (0.0, 1.2, -0.9)
        ]
        warm_c = 25.0 + 30.0 * self.pv_power_w / self.rated_power_w
        self.temperature_c += (warm_c - self.temperature_c) * min(
            elapsed_s / 300.0, 1.0
        )

    def _use_and_store(self) -> None:
        evening = math.exp(-(((self.hour - 19.0) / 2.0) ** 2))
        self.load_power_w = 600.0 + 1_800.0 * evening + self._chance.uniform(-20, 20)
        converted_w = self.pv_power_w * INVERTER_EFFICIENCY
        self.battery_power_w = self._battery_w(converted_w - self.load_power_w)
        self.active_power_w = converted_w - self.battery_power_w
        self.meter_power_w = self.load_power_w - self.active_power_w
        self.peak_power_today_w = max(self.peak_power_today_w, self.active_power_w)

    def _battery_w(self, left_w: float) -> float:
        if not self.hybrid:
            return 0.0
        if left_w < 0:
            return max(left_w, -BATTERY_MAX_W) if self.battery_soc_percent > 10 else 0.0
        return min(left_w, BATTERY_MAX_W) if self.battery_soc_percent < 95 else 0.0

    def _count_energy(self, hours: float) -> None:
        flows: dict[Flow, float] = {
            "pv": self.pv_power_w,
            "generated": self.active_power_w,
            "grid_export": -self.meter_power_w,
            "grid_import": self.meter_power_w,
            "load": self.load_power_w,
            "battery_charge": self.battery_power_w,
            "battery_discharge": -self.battery_power_w,
            "direct_consumption": min(self.load_power_w, self.active_power_w),
            "reactive": abs(reactive_var(self.active_power_w)),
        }
        for flow, power_w in flows.items():
            energy_wh = max(power_w, 0.0) * hours
            self.total_wh[flow] += energy_wh
            self.today_wh[flow] += energy_wh
        self._hours_lit += 0.0 if self.is_dark else hours
        stored_percent = 100.0 * self.battery_power_w * hours / BATTERY_CAPACITY_WH
        charge = self.battery_soc_percent + stored_percent
        self.battery_soc_percent = min(max(charge, 5.0), 100.0)


def apparent_va(power_w: float) -> float:
    """Return the apparent power that goes with an active power."""
    return abs(power_w) / POWER_FACTOR


def reactive_var(power_w: float) -> float:
    """Return the reactive power that goes with an active power, of the same sign."""
    return power_w * math.sqrt(1 - POWER_FACTOR**2) / POWER_FACTOR
