"""Numbers as answers write them: measured ones with two digits, shares in percent, areas and shares in classes."""

from __future__ import annotations

import math
from typing import Final

AREA_CLASSES_M2: Final = (10, 100, 1000)
"""Upper bounds, inclusive, of RSVQA's area classes above "0m2"."""


def write_number(value: float) -> str:
    """Write a positive number with two significant digits: 7.3, 41, 120, 12000."""
    if value <= 0:
        return "0"
    rounded = round(value, 1 - math.floor(math.log10(value)))
    decimals = max(0, 1 - math.floor(math.log10(rounded)))
    return f"{rounded:.{decimals}f}"


def write_percent(share: float) -> str:
    """Write a share of 0-1 as whole percent, with "less than 1%" for what rounds to nothing."""
    percent = round(100 * share)
    return "less than 1%" if percent == 0 and share > 0 else f"{percent}%"


def write_area_class(area_m2: float) -> str:
    """Write an area as RSVQA's classes do: "0m2", "between 10m2 and 100m2"; upper bounds are inclusive."""
    if area_m2 <= 0:
        return "0m2"
    low = 0
    for high in AREA_CLASSES_M2:
        if area_m2 <= high:
            return f"between {low}m2 and {high}m2"
        low = high
    return f"more than {low}m2"


def write_ratio_class(share: float) -> str:
    """Write a share of 0-1 as CDVQA's classes do: "0", "0_to_10" ... "90_to_100"; upper bounds are inclusive."""
    if share <= 0:
        return "0"
    low = min(9, math.ceil(round(10 * share, 9)) - 1)
    return f"{10 * max(0, low)}_to_{10 * max(0, low) + 10}"
