"""Tables that every suite has: the mean score of the rows by category, and by the size of what is asked for.

Sizes are COCO's, in pixels of the original image: small below 32 x 32, medium below 96 x 96, large above. A row's score
is its own (the IoU of a box, 1 for a right word), so such a mean may be another number than the headline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from eval_suites.cases import Case
from eval_suites.measure import Measure, build_mean
from eval_suites.scored import Row
from vlm.geometry import Geometry
from vlm.geometry.shapes import HBB, OBB, Mask

TOPS: Final = {"small": 32**2, "medium": 96**2}
MOST_CATEGORIES: Final = 60


def size_tables(cases: Sequence[Case], rows: Sequence[Row]) -> Mapping[str, Mapping[str, Measure]]:
    """Build the tables that have more than one row."""
    columns = {"category": [case.category for case in cases], "object size": [size_name(case) for case in cases]}
    values = [row.score for row in rows]
    tables = {}
    for title, names in columns.items():
        known = sorted(set(names) - {""})
        if 1 < len(known) <= MOST_CATEGORIES:
            tables[f"mean score by {title}"] = {
                name: build_mean(name, values, where=[one == name for one in names]) for name in known
            }
    return tables


def size_name(case: Case) -> str:
    """Name the size of a case's largest region; nothing for a case without one."""
    if not case.regions:
        return ""
    area = max(area_px(region.geometry) for region in case.regions)
    return next((name for name, top in TOPS.items() if area < top), "large")


def area_px(geometry: Geometry) -> float:
    """Give the area of a shape in square pixels."""
    if isinstance(geometry, HBB | OBB):
        return geometry.area
    if isinstance(geometry, Mask):
        return float(geometry.bits.mean()) * geometry.box.area
    from vlm.geometry import to_shapely

    return float(to_shapely(geometry).area)
