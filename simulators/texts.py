"""What stands in the text registers of a simulated device."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from simulators.codec import encode_text

if TYPE_CHECKING:
    from egw.devices.profile import Point, Profile

_MODELS = {
    "solaredge": "SE10K-RW0TEBEN4",
    "huawei": "SUN2000-10KTL-M1",
    "fronius": "Symo GEN24 10.0",
    "goodwe": "GW10K-ET",
    "growatt": "MOD 10KTL3-XH",
    "sma": "STP 10.0-3AV-40",
    "solax": "X3-HYBRID-10.0-D",
    "sofar": "HYD 10KTL-3PH",
    "solis": "S6-EH3P10K-H",
    "sungrow": "SH10RT",
    "deye": "SUN-10K-SG04LP3",
}
"""A usual model by maker."""

_TEXTS = (
    (r"sunspec_marker$", "SunS"),
    (r"meter_manufacturer$", "Simulated"),
    (r"meter_model$", "SIM-3Y-400"),
    (r"meter_option$", "Export+Import"),
    (r"battery_(product|model)$", "SIM-BAT-10"),
    (r"mppt(\d+)_input_name$", r"String \1"),
    (r"part_number$", "SIM-PART"),
    (r"arm_.*version$", "SIM_ARM_1.0.0"),
    (r"dsp\d?_.*version$", "SIM_DSP_1.0.0"),
    (r"version", "1.0.0"),
    (r"options?$", "000"),
)


def text_of(point: Point, profile: Profile, serial: str) -> str:
    """Return the text of a point, cut to its registers.

    Where the profile says how such a text looks, the usual one is replaced by one that
    looks so.
    """
    text = _usual(point, profile, serial)
    for sign in profile.identification.signs:
        if (
            sign.point == point.key
            and sign.pattern
            and not re.search(sign.pattern, text)
        ):
            text = _alike(sign.pattern, text)
    return _fitting(point, text)


def words_of(point: Point, profile: Profile, serial: str) -> bytes:
    """Return the words of the text of a point."""
    return encode_text(point, text_of(point, profile, serial))


def number_in(serial: str) -> int:
    """Return the digits of a serial number, for devices that have it as a number."""
    return int(re.sub(r"\D", "", serial) or "1")


def _usual(point: Point, profile: Profile, serial: str) -> str:
    key = point.key
    if "serial_number" in key or key in profile.identification.serial:
        own = not re.match("meter|battery", key)
        return serial if own else f"{serial}{key[0].upper()}"
    if key == profile.identification.model or key == "model":
        return _MODELS.get(profile.maker.lower().split()[0], f"{profile.maker} 10K")
    if key == "manufacturer":
        return profile.maker
    for pattern, text in _TEXTS:
        if match := re.search(pattern, key):
            return match.expand(text)
    return ""


def _alike(pattern: str, text: str) -> str:
    """Return a text that a pattern is found in: a literal beginning, or digits."""
    digits = re.sub(r"\D", "", text) or "1"
    literals = re.sub(r"\(\?\w+\)|[\^$]", "", pattern).split("|")
    tried = [re.sub(r"[()\\]", "", literal) for literal in literals]
    tried += [literal + text for literal in tuple(tried)]
    tried += [
        letter + digits.rjust(width, "1")
        for width in range(1, 33)
        for letter in ("", *string.ascii_uppercase)
    ]
    for candidate in tried:
        if candidate.isprintable() and re.search(pattern, candidate):
            return candidate
    return text


def _fitting(point: Point, text: str) -> str:
    if point.encoding == "ascii":
        return text.encode()[: 2 * point.count].decode(errors="ignore")
    digits = "".join(c for c in text.upper() if c in "0123456789ABCDEF")
    return digits[-4 * point.count :].rjust(4 * point.count, "1")
