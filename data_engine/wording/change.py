"""How people ask about two dates: ChangeChat's kinds of instruction, by class, by number, by place and by reason."""

from __future__ import annotations

from typing import Final

CHANGE: Final[dict[str, tuple[str, ...]]] = {
    "change_count": (
        "How many {plural} are there?",
        "How many {plural} do you see between the two dates?",
        "Count the {plural}.",
        "What is the number of {plural} between the two dates?",
        "Number of {plural} in the pair of images?",
    ),
    "change_count_classes": (
        "How many objects of these classes are new in the second image: {classes}?",
        "Count what has been built between the two dates, by class: {classes}.",
        "How many new ones are there of each of these classes: {classes}?",
        "Quantify the change by class: {classes}.",
        "Give the number of new objects of each class: {classes}.",
    ),
    "change_places": (
        "In which parts of the image are there changes? Answer by class on a 3 x 3 grid: {classes}.",
        "Which cells of a 3 x 3 grid have changed, by class: {classes}?",
        "Locate the changes of each class on a grid of nine cells: {classes}.",
        "Where are the changes of these classes? Name the cells of a 3 x 3 grid: {classes}.",
        "List the parts of a 3 x 3 grid in which these classes have changed: {classes}.",
    ),
    "change_class": (
        "Have any {plural} changed?",
        "Is there any change of {plural} between the two images?",
        "Do the two dates differ in their {plural}?",
        "Has something happened to the {plural}?",
        "Are the {plural} different in the second image?",
    ),
    "change_where": (
        "In which part of the image is the change?",
        "Where is most of the change? Name a part of the image.",
        "Which part of the image has changed most?",
        "Name the part of the image with the largest change.",
        "In which ninth of the image do you see most change?",
    ),
    "change_share": (
        "What share of the image has changed?",
        "How much of the image has changed?",
        "What percentage of the area is different in the second image?",
        "How many percent of the image have changed?",
        "Estimate the changed share of the image in percent.",
    ),
    "change_area": (
        "How many square metres have changed?",
        "What is the changed area in square metres?",
        "How large is the changed area in m2?",
        "Give the area of change in square metres.",
        "Estimate how many square metres are different in the second image.",
    ),
    "change_trend": (
        "How has the area of {plural} developed?",
        "What happened to the area of {plural} between the two dates?",
        "Did the {plural} gain or lose area?",
        "How did the share of {plural} change?",
        "Describe the trend of the {plural}.",
    ),
    "change_became": (
        "What has replaced the {plural} that are gone?",
        "What did the lost {plural} mostly turn into?",
        "What is there now where {plural} used to be?",
        "What has become of the {plural} that disappeared?",
        "Which class has taken the place of most of the lost {plural}?",
    ),
    "change_was": (
        "What was there before the new {plural}?",
        "What did the new {plural} mostly replace?",
        "On what kind of land did the new {plural} appear?",
        "What used to be where there are new {plural} now?",
        "Which class gave way to most of the new {plural}?",
    ),
    "change_class_box": (
        "Where are the {plural}? Mark them with boxes.",
        "Locate the {plural} between the two dates.",
        "Give the bounding boxes of the {plural}.",
        "Draw a box around every {phrase}.",
        "Detect all {plural} by comparing the two images.",
    ),
    "change_class_mask": (
        "Segment the {plural}.",
        "Give the mask of the {plural} between the two dates.",
        "Which pixels are {plural}?",
        "Create a mask of the {plural} by comparing the two images.",
        "Outline the {plural}.",
    ),
    "change_then": (
        "Describe it in a sentence.",
        "Summarise the change, then.",
        "So what has happened?",
        "Put that into one sentence.",
        "What is the change, in short?",
    ),
}
