"""The eight types of questions of CDVQA (Yuan et al., TGRS 2022) in its own manner of speaking.

`{plural}` is a class as CDVQA says it ("non-vegetated ground surface"), `{date}` is empty or " in the first image".
"""

from __future__ import annotations

from typing import Final

CDVQA: Final[dict[str, tuple[str, ...]]] = {
    "cdvqa_change_or_not": (
        "Have the areas of {plural} changed{date}?",
        "Have the regions of {plural} changed{date}?",
        "Did the areas of {plural} change{date}?",
        "Did the regions of {plural} change{date}?",
    ),
    "cdvqa_increase_or_not": (
        "Have the areas of {plural} increased?",
        "Have the regions of {plural} increased?",
        "Did the areas of {plural} increase?",
        "Did the regions of {plural} increase?",
    ),
    "cdvqa_decrease_or_not": (
        "Have the areas of {plural} decreased?",
        "Have the regions of {plural} decreased?",
        "Did the areas of {plural} decrease?",
        "Did the regions of {plural} decrease?",
    ),
    "cdvqa_smallest_change": (
        "What is the smallest change{date}?",
        "What type of change is the smallest{date}?",
    ),
    "cdvqa_largest_change": (
        "What is the largest change{date}?",
        "What type of change is the largest{date}?",
    ),
    "cdvqa_change_to_what": (
        "What have the areas of {plural}{date} mainly changed to?",
        "What have the regions of {plural}{date} mainly changed to?",
    ),
    "cdvqa_change_ratio": (
        "How much of the area has changed?",
        "What is the change ratio of the imagery?",
        "What is the percentage of changed areas?",
        "What is the percentage of changed regions?",
    ),
    "cdvqa_unchanged_ratio": (
        "How much of the area has not changed?",
        "What is the non-change ratio of the imagery?",
        "What is the percentage of unchanged areas?",
        "What is the percentage of non-change regions?",
    ),
    "cdvqa_change_ratio_types": (
        "How much area of {plural} has changed{date}?",
        "What is the change ratio of {plural}{date}?",
        "What is the percentage of changed {plural}{date}?",
        "How many percent of the image are changed {plural}{date}?",
    ),
}
