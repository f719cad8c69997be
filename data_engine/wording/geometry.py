"""How people ask for geometry: all classes at once, one shape for another, windows to look at, captions of regions."""

from __future__ import annotations

from typing import Final

GEOMETRY: Final[dict[str, tuple[str, ...]]] = {
    "detect_classes_box": (
        "Detect all objects of these classes: {classes}.",
        "Find every object of these classes and give its bounding box: {classes}.",
        "Locate the objects tightly with boxes and category names: {classes}.",
        "Draw a box around each object of these classes: {classes}.",
        "Give the bounding boxes of all objects of these classes: {classes}.",
        "Mark all objects of the following classes with boxes: {classes}.",
    ),
    "detect_classes_obb": (
        "Detect all objects of these classes with oriented boxes: {classes}.",
        "Find every object of these classes and give its oriented bounding box: {classes}.",
        "Locate the objects tightly with oriented boxes and category names: {classes}.",
        "Draw a rotated box around each object of these classes: {classes}.",
        "Give the oriented bounding boxes of all objects of these classes: {classes}.",
        "Mark all objects of the following classes with rotated boxes: {classes}.",
    ),
    "segment_classes": (
        "Segment these classes: {classes}.",
        "Give the mask of each of these classes: {classes}.",
        "Map the land cover with these classes: {classes}.",
        "Create one mask for each of these classes: {classes}.",
        "Outline what belongs to each of these classes: {classes}.",
    ),
    "segment_classes_dates": (
        "Segment these classes in both images: {classes}.",
        "Give the mask of each of these classes at both dates: {classes}.",
        "Map the land cover of both dates with these classes: {classes}.",
        "Create one mask for each of these classes in the first and in the second image: {classes}.",
        "Outline at both dates what belongs to each of these classes: {classes}.",
    ),
    "segment_classes_changed": (
        "Segment these classes in both images where they differ: {classes}.",
        "Give the mask of each of these classes in the changed area, at both dates: {classes}.",
        "Map the land cover of the changed area at both dates with these classes: {classes}.",
        "Create one mask for each of these classes in the changed part of the first and the second image: {classes}.",
        "Outline at both dates what belongs to each of these classes within the area that has changed: {classes}.",
    ),
    "refine_box": (
        "Give the bounding box of the object in {region}.",
        "Draw an upright box around the object in {region}.",
        "What is the upright bounding box of the object at {region}?",
        "Convert {region} to a bounding box.",
        "Box the object outlined by {region}.",
    ),
    "refine_obb": (
        "Give the oriented bounding box of the object in {region}.",
        "Draw a rotated box around the object in {region}.",
        "What is the oriented box of the object at {region}?",
        "Fit an oriented box to the object in {region}.",
        "Turn {region} into an oriented bounding box.",
    ),
    "refine_mask": (
        "Segment the object in {region}.",
        "Give the mask of the object in {region}.",
        "Outline the object at {region}.",
        "What is the exact shape of the object in {region}?",
        "Turn {region} into a mask of the object.",
    ),
    "ladder_down": (
        "Give the mask, the oriented box and the bounding box of the {phrase}.",
        "Segment the {phrase}, then give its oriented box and its bounding box.",
        "Describe the {phrase} by a mask, an oriented bounding box and an upright box.",
        "Locate the {phrase} three times: mask, oriented box, box.",
        "Mask, oriented box and box of the {phrase}, please.",
    ),
    "ladder_up": (
        "Give the bounding box, the oriented box and the mask of the {phrase}.",
        "Locate the {phrase} with a box, refine it to an oriented box and then to a mask.",
        "Describe the {phrase} by a box, an oriented bounding box and a mask.",
        "Locate the {phrase} three times: box, oriented box, mask.",
        "Box, oriented box and mask of the {phrase}, please.",
    ),
    "region_refer": (
        "Describe the object in {region} so that nobody confuses it with another.",
        "Give a phrase that fits only the object in {region}.",
        "How would you refer to the object at {region}?",
        "Name the object in {region} unambiguously.",
        "Which words single out the object at {region}?",
    ),
    "region_caption": (
        "Describe the region {region}.",
        "Write a caption for the region {region}.",
        "What can you say about the object in {region}?",
        "Caption the region {region}.",
        "Describe what is shown in {region}.",
    ),
    "region_yes": (
        "Is the object in {region} {article} {phrase}?",
        "Is there {article} {phrase} in {region}?",
        "Does {region} show {article} {phrase}?",
        "Is {article} {phrase} at {region}?",
        "Would you call the object in {region} {article} {phrase}?",
    ),
    "region_count": (
        "How many {plural} are inside {region}?",
        "How many {plural} lie within {region}?",
        "Count the {plural} in {region}.",
        "What is the number of {plural} in the region {region}?",
        "Number of {plural} inside {region}?",
    ),
    "zoom": (
        "{question} Zoom in to the region of interest and answer the question.",
        "{question} Say first which part of the image you need to see enlarged.",
        "{question} Ask for a closer look first.",
        "{question} Choose a window to look at before you answer.",
        "{question} Name the region that you want to see enlarged.",
    ),
}
