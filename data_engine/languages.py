"""Which language a caption is in: said at the end of its sample's id, where it is not English.

    rsicd/train/airport_1/caption-0       English, as all that says nothing
    rsicd/train/airport_1/caption-0@pt    Portuguese, of the same image: a caption sample for each language

The id goes with a sample through every verb, so a store needs no column for it. Codes are BCP 47's: "pt", "zh-Hant".
Captions of other languages than English pass `filter` with `--language any` or their own code.
"""

from __future__ import annotations

import re
from typing import Final

from vlm.errors import DataError

ENGLISH: Final = "en"
_CODE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MARK: Final = re.compile(rf"@({_CODE.pattern})$")


def mark_language(sample_id: str, code: str) -> str:
    """Give the id of a caption sample in a language; DataError for what is no code of one."""
    if not is_language(code):
        raise DataError(f"{code!r} is no code of a language: expected one as in BCP 47, such as pt or zh-Hant")
    return sample_id if code == ENGLISH else f"{sample_id}@{code}"


def read_language(sample_id: str) -> str:
    """Give the code of the language that a sample's id says, English where it says none."""
    found = _MARK.search(sample_id)
    return found.group(1) if found else ENGLISH


def is_language(code: str) -> bool:
    """Tell whether a text is written as codes of languages are."""
    return _CODE.fullmatch(code) is not None
