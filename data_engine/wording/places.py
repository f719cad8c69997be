"""How people ask where things are: places of the image, directions, and relations of two things."""

from __future__ import annotations

from typing import Final

PLACED: Final[dict[str, tuple[str, ...]]] = {
    "position": (
        "In which part of the image is the {phrase}?",
        "In which part of the picture does the {phrase} lie?",
        "What part of the image contains the {phrase}?",
        "Name the part of the image in which the {phrase} is.",
        "Whereabouts in the image is the {phrase}? Name one of nine parts.",
        "Which ninth of the image holds the {phrase}?",
    ),
    "position_yes": (
        "Is the {phrase} {place} of the image?",
        "Does the {phrase} lie {place} of the image?",
        "Can the {phrase} be found {place} of the image?",
        "Is the {phrase} located {place} of the picture?",
        "Is it true that the {phrase} is {place} of the image?",
    ),
    "position_choice": (
        "Is the {phrase} {place} or {other_place} of the image?",
        "Does the {phrase} lie {place} or {other_place} of the image?",
        "Where does the {phrase} lie, {place} or {other_place} of the image?",
        "Which is true, the {phrase} is {place} or {other_place} of the image?",
        "Is the {phrase} located {place} or {other_place} of the picture?",
    ),
    "position_what": (
        "What is {place} of the image: {choices}?",
        "Which of these lies {place} of the image: {choices}?",
        "Which object can be seen {place} of the image: {choices}?",
        "What can be found {place} of the picture: {choices}?",
        "Name the object {place} of the image: {choices}.",
    ),
    "direction": (
        "In which direction does the long side of the {phrase} run?",
        "Which way does the {phrase} point along its long side?",
        "How is the {phrase} oriented?",
        "What is the direction of the long axis of the {phrase}?",
        "Along which direction does the {phrase} extend?",
    ),
    "relation": (
        "Where is the {phrase} relative to the {other}?",
        "Where does the {phrase} lie as seen from the {other}?",
        "What is the position of the {phrase} relative to the {other}?",
        "How does the {phrase} lie with respect to the {other}?",
        "Describe the position of the {phrase} relative to the {other}.",
    ),
    "relation_yes": (
        "Is the {phrase} {relation} the {other}?",
        "Does the {phrase} lie {relation} the {other}?",
        "Is it true that the {phrase} is {relation} the {other}?",
        "Can the {phrase} be found {relation} the {other}?",
        "Is the {phrase} located {relation} the {other}?",
    ),
    "relation_what": (
        "Which of these is {relation} the {phrase}: {choices}?",
        "What lies {relation} the {phrase}: {choices}?",
        "What can be seen {relation} the {phrase}: {choices}?",
        "Name what is {relation} the {phrase}: {choices}.",
        "Which object is located {relation} the {phrase}: {choices}?",
    ),
    "nearest": (
        "Which is closer to the {phrase}, the {other} or the {third}?",
        "What is nearer to the {phrase}, the {other} or the {third}?",
        "Which one lies nearest to the {phrase}: the {other} or the {third}?",
        "Is the {other} or the {third} closer to the {phrase}?",
        "Which of the two is closest to the {phrase}, the {other} or the {third}?",
    ),
}
