"""How people ask what a map can answer: areas of classes, land cover, and the place that a map layer names."""

from __future__ import annotations

from typing import Final

MAPS: Final[dict[str, tuple[str, ...]]] = {
    "map_area": (
        "What is the area covered by {plural}?",
        "What area do the {plural} cover?",
        "How large is the area of the {plural}?",
        "What is the area of all {plural} in the image?",
        "How many square metres do the {plural} cover?",
    ),
    "map_area_more": (
        "Do the {plural} cover more area than the {others}?",
        "Is the area of the {plural} larger than that of the {others}?",
        "Is more of the image covered by {plural} than by {others}?",
        "Is there more area of {plural} than of {others}?",
        "Do {plural} take up more space than {others}?",
    ),
    "land_describe": (
        "Describe the land cover of this image.",
        "Describe the land cover and where it lies.",
        "Which kinds of land cover does the image show, and where?",
        "Give a detailed description of the land cover.",
        "Describe this satellite image: what covers the land, how much of it, and where?",
        "What does the land look like here? Name shares and places.",
    ),
    "land_main": (
        "What is the main land cover?",
        "Which land cover is dominant?",
        "What covers most of the image?",
        "Which land cover class has the largest share?",
        "Name the dominant land cover.",
    ),
    "land_share": (
        "What share of the image is {phrase}?",
        "What percentage of the image is {phrase}?",
        "How much of the image is covered by {phrase}?",
        "How many percent of the land cover are {phrase}?",
        "Estimate the share of {phrase} in percent.",
    ),
    "land_present": (
        "Is there any {phrase} in the image?",
        "Does the image show {phrase}?",
        "Can you see {phrase} here?",
        "Is {phrase} among the land cover classes of this image?",
        "Does the land cover include {phrase}?",
    ),
    "land_where": (
        "In which part of the image is most of the {phrase}?",
        "Where is the {phrase} concentrated? Name a part of the image.",
        "Which part of the image has the most {phrase}?",
        "Name the part of the image with the largest share of {phrase}.",
        "In which ninth of the image is the {phrase} densest?",
    ),
    "land_place": (
        "Which land cover dominates {place} of the image?",
        "What is the main land cover {place} of the image?",
        "What covers most of the land {place} of the image?",
        "Name the dominant land cover {place} of the image.",
        "Which land cover prevails {place} of the picture?",
    ),
    "land_more": (
        "Is there more {phrase} than {other}?",
        "Does {phrase} cover more of the image than {other}?",
        "Is the share of {phrase} larger than that of {other}?",
        "Is {phrase} more widespread than {other}?",
        "Does the image show a larger area of {phrase} than of {other}?",
    ),
}
