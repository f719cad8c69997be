"""How a case is put to a model: the suite's own words, or, where geometry is asked for, the words of its dialect.

A suite that asks for geometry gives the phrase and the form; published models answer with boxes only when they are
asked in the words that they were trained on.
"""

from __future__ import annotations

import re
from typing import Final

from eval_suites.cases import Case

_ARTICLE: Final = re.compile(r"^(the|an?)\s+", re.IGNORECASE)
_JSON: Final = {
    "box": "Locate {phrase}, output the bbox coordinates using JSON format.",
    "boxes": "Locate every {phrase}, output the bbox coordinates and labels using JSON format.",
}
_GEOCHAT: Final = dict.fromkeys(("box", "obb", "boxes", "obbs"), "[refer] Give me the location of <p> {phrase} </p>")
WORDINGS: Final[dict[str, dict[str, str]]] = {
    "nadir": {
        "box": "Where is the {phrase}?",
        "boxes": "Where are the {phrase}?",
        "obb": "Give the oriented bounding box of the {phrase}.",
        "obbs": "Find all {phrase} and give oriented bounding boxes.",
        "mask": "Segment the {phrase}.",
    },
    "qwen2.5": _JSON,
    "qwen3": _JSON,
    "rscovlm": _JSON,
    "geochat": _GEOCHAT,
    "vrsbench": _GEOCHAT,
}
"""By dialect and form; published wordings of GeoChat and Qwen, and Nadir's own."""


def word_prompt(case: Case, dialect: str) -> str:
    """Give the words in which a case is put to a model of a dialect."""
    wording = WORDINGS.get(dialect, {}).get(case.form)
    if wording is None or not case.phrase:
        return case.instruction
    return wording.format(phrase=_ARTICLE.sub("", case.phrase.strip().rstrip(".")))
