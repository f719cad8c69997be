"""Labels of a whole image that are no scene themes -> turns: land cover, local climate zones, the vehicle of a chip."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from data_engine import templates
from vlm.errors import DataError
from vlm.records import Answer, Turn

SEPARATOR: Final = "; "
"""Class names such as "beaches, dunes, sands" have commas of their own."""

ASKED: Final[dict[str, tuple[str, ...]]] = {
    "classes": (
        "Which land cover classes does the image show?",
        "List the land cover classes of this image.",
        "What land cover types are there in the image?",
        "Name all land cover classes in this image.",
        "Which kinds of land cover can be seen here?",
        "What covers the land in this image? List the classes.",
        "Give the land cover labels of this image.",
        "Classify the land cover; several classes are possible.",
    ),
    "main_class": (
        "What is the main land cover class of this image?",
        "Which land cover class covers most of the image?",
        "What is the dominant land cover?",
        "Name the land cover class with the largest share.",
        "Which land cover prevails here?",
        "What is most of the land in this image covered with?",
        "Classify this image by its main land cover.",
        "Give the dominant land cover class",
    ),
    "climate_zone": (
        "Which local climate zone does the image show?",
        "What is the local climate zone of this place?",
        "Classify the local climate zone.",
        "Name the local climate zone class of this image.",
        "To which local climate zone does this area belong?",
        "What type of local climate zone is this?",
        "Which local climate zone (LCZ) is this?",
        "Give the local climate zone",
    ),
    "vehicle": (
        "Which vehicle does this radar chip show?",
        "What type of vehicle is this?",
        "Which target is this?",
        "Identify the vehicle in this SAR image.",
        "Name the vehicle type.",
        "What is the target in this radar image?",
        "Recognise the target.",
        "Classify the vehicle in this chip",
    ),
}


def name_label(kind: str, label: str, rng: random.Random) -> Turn:
    """Ask in one of the paraphrases of `kind` (a key of ASKED) and answer with the name of a label."""
    return Turn(
        templates.escape_braces(rng.choice(ASKED[kind])), Answer(templates.escape_braces(label), task="classify")
    )


def list_labels(labels: Sequence[str], rng: random.Random) -> Turn:
    """Ask for all land cover classes and answer with them in the order given, joined by SEPARATOR."""
    if not labels:
        raise DataError("an image without a land cover class cannot be asked for its classes: give at least one")
    return name_label("classes", SEPARATOR.join(labels), rng)
