"""Letters: how evaluators find the chosen option in an answer to a multiple-choice question.

Every function is what its source does, quirks included: missing commas in the lists of prefixes, an empty answer that
is read as A, any letter a to e of a word taken as an option.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

# Python joins neighbouring strings: where a source forgot a comma, two prefixes are one that never occurs.
_SHARED: Final = ("The best answer is", "The correct answer is", "The answer is", "The answer")
_JOINED: Final = ("The best option isThe correct option is", "Best answer:Best option:")
PREFIXES: Final = (*_SHARED, *_JOINED)
WHOLE_PREFIXES: Final = (*_SHARED, "The best option is", "The correct option is", "Best answer:", "Best option:")
CAPITAL = re.compile(r"[ABCDE]")
ANY = re.compile(r"[a-eA-E]")
BRACKETED = re.compile(r"\(([a-eA-E])\)")
PLAIN_CHOICES: Final = ("(A)", "(B)", "(C)", "(D)", "(E)")
LONG_ANSWER = 10
# The fallbacks of the intersection family, each tried where the ones before found nothing; a condition, a pattern.
_FALLBACKS: Final = (
    (None, re.compile(r"(?:^|\s)([A-Ea-e])(?:$|[\s,.])")),
    (" and ", re.compile(r"(?:^|\s|and\s+)([A-Ea-e])(?:$|\s|,|\sand)")),
    (",", re.compile(r"(?:^|\s|,\s*)([A-Ea-e])(?:$|\s|,)")),
    (None, BRACKETED),
    (None, ANY),
)
_FIRST_LETTER = re.compile(r"^\W*([A-Ea-e])(?:\W|$)")
# An A before a word in lower case is an article, unless that word joins letters.
_NAMED_LETTER = re.compile(r"\b(?:([B-E])|(A)(?!\s+(?!(?:and|or)\b)[a-z]))\b")
_LONE_LETTER = re.compile(r"\b([A-E])\b")
_CHOICE_CUES = re.compile(r"(?:answer|Answer|could be|would be|Correct option).*?([ABCD])", re.DOTALL)
_CHOICE_CUE = re.compile(r"answer|Answer|could be|would be|Correct option")


def read_xlrs(text: str) -> str:
    """Give the letters that lmms-eval's XLRS task finds, sorted: all in brackets, else every a to e of the text."""
    text = _strip_prefixes(text, PREFIXES)
    if not CAPITAL.search(text):
        return ""
    return _join(BRACKETED.findall(text) or ANY.findall(text))


def read_intersection(text: str) -> str:
    """Give the letters that the DeepEyes and GeoEyes family finds, sorted, by the first of five patterns."""
    for needed, pattern in _FALLBACKS:
        searched = text.lower() if needed == " and " else text
        found = pattern.findall(searched) if needed is None or needed in searched else []
        if found:
            return _join(found)
    return ""


def read_mme(text: str, choices: Sequence[str]) -> str:
    """Give MME-RealWorld's letter: the first capital A to E, else that of the first choice that holds the text."""
    return _first_letter(_strip_prefixes(text, PREFIXES), choices)


def read_mme_lmms(text: str) -> str:
    """Give the letter of lmms-eval's MME-RealWorld task: all prefixes are taken off, the choices are bare letters."""
    return _first_letter(_strip_prefixes(text, WHOLE_PREFIXES), PLAIN_CHOICES)


def read_imagerag(text: str, choices: Sequence[str]) -> str:
    """Give ImageRAG's letter: MME-RealWorld's rule on what stands behind the first known prefix's last occurrence."""
    text = text.strip()
    for prefix in (*PREFIXES, "Answer"):
        for written in (prefix, prefix.lower()):
            if written in text:
                return _first_letter(text.split(written)[-1], choices)
    return _first_letter(text, choices)


def read_choice(text: str, label: str, option: str) -> str | None:
    """Give CHOICE's letter, none where nothing fits: a letter alone, before a blank or a dot, behind a cue word, else
    the label itself where the text stands in its option or holds the option's first word (an empty text stands in it;
    without the option's text nothing does).
    """
    letters = ("A", "B", "C", "D")
    for part in (text.strip(), text.split(" ")[0], text.split(".")[0] if "." in text else ""):
        if part in letters:
            return part
    if _CHOICE_CUE.search(text):
        match = _CHOICE_CUES.search(text)
        return match[1] if match else None
    option = option.replace("_", " ").lower().split(".")[0]
    if not option:
        return None
    return label if text.lower() in option or option.split(" ")[0] in text.lower() else None


def read_letter(text: str) -> str:
    """Give the letter that an answer starts with, else the first capital A to E that stands alone, else nothing."""
    match = _FIRST_LETTER.search(text) or _LONE_LETTER.search(text)
    return match[1].upper() if match else ""


def named_letters(text: str) -> frozenset[str]:
    """Give the capital letters A to E that stand alone in a text, or follow each other alone in it ("AC")."""
    if set(text.strip()) <= set("ABCDE, "):
        return frozenset(text) & frozenset("ABCDE")
    return frozenset(found[1] or found[2] for found in _NAMED_LETTER.finditer(text))


def _strip_prefixes(text: str, prefixes: Sequence[str]) -> str:
    text = text.strip()
    for prefix in prefixes:
        text = text.replace(prefix, "")
    return text


def _first_letter(text: str, choices: Sequence[str]) -> str:
    match = CAPITAL.search(text)
    if match or len(text.split()) > LONG_ANSWER:
        return match[0] if match else ""
    return next((choice[1] for choice in choices if text.lower() in choice.lower()), "")


def _join(found: Sequence[str]) -> str:
    return "".join(sorted({letter.upper() for letter in found}))
