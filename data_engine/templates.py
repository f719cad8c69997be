"""How people ask and how the data answers: one table of instruction paraphrases, and the fixed wording of answers.

An instruction is a text with named words in single braces (`{phrase}`, `{plural}`); `write_instruction` picks one with
the caller's generator and fills it in. What comes out is a template in the sense of vlm.records.Turn, so braces inside
the words are doubled, except in `{region}`, which takes a slot such as `{box:0}`.
"""

from __future__ import annotations

import random
from typing import Final

from data_engine.wording import WORDING
from vlm.errors import DataError

NONE: Final = "none"
YES: Final = "yes"
NO: Final = "no"
NO_CHANGE: Final = "no change has occurred"

INSTRUCTIONS: Final[dict[str, tuple[str, ...]]] = {
    "caption": (
        "Describe this image.",
        "Describe the image in one sentence.",
        "Write a caption for this image.",
        "Give a short caption.",
        "Caption this picture.",
        "Caption this satellite image",
        "What does this image show?",
        "What can be seen in this image?",
        "What is in this picture",
        "Please describe this aerial image briefly.",
        "Summarise this scene in a sentence.",
        "Describe the scene.",
        "Provide a one-sentence description of the image.",
        "What do you see?",
        "What do you see in this image?",
        "Tell me what you see.",
        "Tell me about this image.",
        "Can you describe the picture?",
        "What am I looking at?",
        "What is this?",
        "What's in the image",
        "Explain what this photo shows.",
        "Describe what is visible from above.",
        "What is going on here?",
    ),
    "theme": (
        "What is the theme of this picture?",
        "What is the scene class of this image?",
        "What kind of scene is this?",
        "What type of scene does the image show?",
        "Which class does this scene belong to?",
        "Classify this image.",
        "Classify the scene",
        "Name the scene category.",
        "What is the land use in this image?",
        "What is the theme of this image",
        "What is the scene?",
        "Give the scene class in one word.",
        "Which category fits this picture best?",
        "What sort of place is this?",
        "What kind of place does the picture show?",
        "Scene class?",
        "Which land use is it?",
        "What is this place?",
    ),
    "ground_box": (
        "Where is the {phrase}?",
        "Where is the {phrase}",
        "Locate the {phrase}.",
        "Locate the {phrase} in the image.",
        "Find the {phrase}.",
        "Find the {phrase} and give its bounding box.",
        "Detect the {phrase}.",
        "Draw a box around the {phrase}.",
        "Give the bounding box of the {phrase}.",
        "What is the bounding box of the {phrase}?",
        "Show me the {phrase}.",
        "Point out the {phrase} with a box.",
        "Can you locate the {phrase}?",
        "Please mark the {phrase}",
    ),
    "ground_obb": (
        "Give the oriented bounding box of the {phrase}.",
        "What is the oriented box of the {phrase}?",
        "Locate the {phrase} with an oriented bounding box.",
        "Find the {phrase} and give its rotated box.",
        "Draw an oriented box around the {phrase}.",
        "Where is the {phrase}? Answer with an oriented box.",
        "Detect the {phrase} as an oriented bounding box",
        "Mark the {phrase} with a rotated bounding box.",
        "Oriented bounding box of the {phrase}",
        "Locate the {phrase} with a rotated box.",
    ),
    "detect_box": (
        "Where are the {plural}?",
        "Where are the {plural}",
        "Find all {plural}.",
        "Find every {phrase} in the image.",
        "Detect all {plural}.",
        "Detect the {plural} in this image.",
        "Locate all {plural}.",
        "Locate the {plural}",
        "Draw a box around every {phrase}.",
        "Give the bounding boxes of all {plural}.",
        "List the boxes of the {plural}.",
        "Show all {plural} with bounding boxes.",
        "Mark each {phrase}.",
    ),
    "detect_obb": (
        "Find all {plural} and give oriented bounding boxes.",
        "Give the oriented bounding boxes of all {plural}.",
        "Detect all {plural} with oriented boxes.",
        "Detect every {phrase} as an oriented box.",
        "Where are the {plural}? Use oriented boxes.",
        "Locate all {plural} with rotated bounding boxes.",
        "Draw an oriented box around every {phrase}.",
        "Oriented boxes of all {plural}",
        "Mark each {phrase} with a rotated box.",
    ),
    "segment": (
        "Segment the {phrase}.",
        "Segment the {phrase}",
        "Segment the {phrase} in this image.",
        "Give the mask of the {phrase}.",
        "Outline the {phrase}.",
        "Draw the outline of the {phrase}.",
        "Create a mask for the {phrase}.",
        "Mask out the {phrase}.",
        "Which pixels belong to the {phrase}?",
        "Show the exact shape of the {phrase}.",
        "Please produce a segmentation mask of the {phrase}.",
        "Where exactly is the {phrase}? Answer with a mask.",
    ),
    "segment_all": (
        "Segment the {plural}.",
        "Segment all {plural}",
        "Segment all {plural} in this image.",
        "Give the mask of the {plural}.",
        "Outline the {plural}.",
        "Create a mask for all {plural}.",
        "Mask out the {plural}.",
        "Which pixels belong to {plural}?",
        "Show the exact shape of the {plural}.",
        "Please produce a segmentation mask of the {plural}.",
        "Where exactly are the {plural}? Answer with a mask.",
    ),
    "count": (
        "How many {plural} are there?",
        "How many {plural} are there",
        "How many {plural} are in the image?",
        "How many {plural} are visible?",
        "How many {plural} can you see?",
        "Count the {plural}.",
        "Count all {plural} in this picture.",
        "What is the number of {plural}?",
        "Give the number of {plural}.",
        "Number of {plural}?",
        "Please count the {plural} in this image",
    ),
    "presence": (
        "Is there {article} {phrase}?",
        "Is there {article} {phrase} in the image?",
        "Is there any {phrase}?",
        "Are there any {plural}?",
        "Are there {plural} in this picture",
        "Does this image contain {article} {phrase}?",
        "Does the picture show any {plural}?",
        "Can you see {article} {phrase}?",
        "Do you see any {plural} here?",
        "Is {article} {phrase} present?",
        "Is {article} {phrase} visible",
    ),
    "region": (
        "What is in this region {region}?",
        "What is at {region}?",
        "What is the object in {region}?",
        "What object is in the region {region}?",
        "Name the object in {region}.",
        "Classify the object at {region}.",
        "Which class does the object in {region} belong to?",
        "Identify the object at {region}",
        "What is shown in {region}",
    ),
    "change_presence": (
        "Has anything changed?",
        "Has anything changed between the two images?",
        "Is there any change between these images?",
        "Did anything change here",
        "Are the two images different?",
        "Do the two dates show any change?",
        "Has this area changed?",
        "Is there a change?",
        "Can you see any change between the two dates?",
    ),
    "change_box": (
        "Where are the changes?",
        "Where are the changes",
        "Locate the changes.",
        "Find all changed areas.",
        "Detect the changes between the two images.",
        "Mark the changes with bounding boxes.",
        "Give the bounding boxes of the changed areas.",
        "Which places have changed? Answer with boxes.",
        "Draw a box around every change.",
        "Show where the image has changed.",
    ),
    "change_mask": (
        "Segment the changes.",
        "Segment the changed area.",
        "Give the change mask.",
        "Create a mask of what has changed.",
        "Outline the changed areas.",
        "Which pixels have changed?",
        "Produce a change map of the two images.",
        "Mask the difference between the two dates",
        "Show the exact shape of the changes.",
    ),
    "change_caption": (
        "What changed?",
        "What has changed between the two images?",
        "What changed between these two dates",
        "Describe the change.",
        "Describe the changes between the two images.",
        "Describe what is different in the second image.",
        "What is the difference between the two images?",
        "Summarise what happened between the two dates.",
        "Compare the two images.",
        "Write a change caption.",
    ),
}

_PLURALS: Final[dict[str, str]] = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "aircraft": "aircraft",
    "forest land": "forest land",
    "farmland": "farmland",
    "water": "water",
    "grass": "grass",
    "vegetation": "vegetation",
    "surface": "surface",
    "tree cover": "tree cover",
}


def write_plural(noun: str) -> str:
    """Give the plural of an English noun phrase: its last word changes, "storage tank" becomes "storage tanks"."""
    for singular, plural in _PLURALS.items():
        if noun == singular or noun.endswith(f" {singular}"):
            return noun[: len(noun) - len(singular)] + plural
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def write_article(noun: str) -> str:
    """Give "a" or "an" for a noun phrase, by its first letter."""
    return "an" if noun[:1].lower() in ("a", "e", "i", "o") else "a"


def escape_braces(text: str) -> str:
    """Double the braces of plain text, so that it stands literally in a template."""
    return text.replace("{", "{{").replace("}", "}}")


def write_instruction(
    kind: str, rng: random.Random, *, phrase: str = "", plural: str = "", region: str = "", **words: str
) -> str:
    """Pick one of the paraphrases of `kind` and fill in the noun `phrase`, the `region` slot and any other `words`.

    `plural` is formed from the phrase where it is not given, as are `others` and `other_article` from the word `other`;
    the word `question` is a template already. Raises DataError for an unknown kind and for a word that the paraphrase
    needs and nobody gave.
    """
    texts = INSTRUCTIONS.get(kind) or WORDING.get(kind)
    if texts is None:
        raise DataError(f"no instructions of kind {kind!r}: known are {', '.join((*INSTRUCTIONS, *WORDING))}")
    other = words.get("other", "")
    filled = {"others": write_plural(other), "other_article": write_article(other), **words}
    try:
        return rng.choice(texts).format(
            phrase=escape_braces(phrase),
            plural=escape_braces(plural or write_plural(phrase)),
            article=write_article(phrase),
            region=region,
            **{name: word if name == "question" else escape_braces(word) for name, word in filled.items()},
        )
    except KeyError as error:
        raise DataError(f"an instruction of kind {kind!r} needs the word {error}, which was not given") from error


def write_sentence(text: str) -> str:
    """Normalise a caption: one line, no blank and no period at its end, braces doubled."""
    words = " ".join(text.split())
    return escape_braces(words.rstrip(" .").strip())
