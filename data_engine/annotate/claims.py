"""What a sentence claims about things that are annotated: how many, where, whether at all, and how much of the image.

English only. A claim is read where its words are plain: an amount directly before the name of the thing ("three large
white planes"), a place after it and before the next thing ("ships in the top left"), or a place at the beginning of the
sentence for the first thing. What is said in other words is no claim and is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from data_engine.places import PLACES
from data_engine.templates import write_plural

_WORDS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
NUMBER_WORDS: Final = {word: number for number, word in enumerate(_WORDS)}
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "plane": ("airplane", "aeroplane", "aircraft", "jet"),
    "airplane": ("plane", "aeroplane", "aircraft", "jet"),
    "ship": ("boat", "vessel"),
    "storage tank": ("oil tank", "tank"),
    "small vehicle": ("car",),
    "large vehicle": ("truck", "lorry", "bus"),
    "harbor": ("harbour",),
    "ground track field": ("running track", "athletics track"),
    "soccer ball field": ("soccer field", "football field", "football pitch"),
    "tree cover": ("tree", "forest", "woodland"),
    "built-up area": ("built-up land", "building", "settlement"),
    "cropland": ("crop field", "farmland", "arable land"),
}
"""Other names of classes; a longer name of another class comes first ("storage tank" before "tank")."""

_VAGUE: Final = {
    "several": 2, "some": 1, "multiple": 2, "various": 2, "a few": 2, "numerous": 4, "many": 4, "countless": 20,
    "dozens of": 20, "hundreds of": 100, "groups of": 2, "rows of": 2, "clusters of": 2, "a": 1, "an": 1,
}  # fmt: skip
_EXACT: Final = {"a single": 1, "only one": 1, "a lone": 1, "one": 1, "a pair of": 2, "both": 2, "a dozen": 12}
_NUMBER: Final = r"\d+(?:,\d{3})*|" + "|".join(NUMBER_WORDS)
_ABOUT: Final = r"about|around|approximately|roughly|nearly|almost|some"
_AT_LEAST: Final = r"at least|more than|over|no fewer than"
_AT_MOST: Final = r"at most|fewer than|less than|up to|under|no more than"
_BETWEEN_WORDS: Final = r"(?:(?!(?:of|in|on|at|and|or|with|near|the|to|by|from|is|are|no)\b)[\w'-]+\s+){0,3}"
_AMOUNT: Final = re.compile(
    rf"(?:\b(?P<about>{_ABOUT})\s+|\b(?P<least>{_AT_LEAST})\s+|\b(?P<most>{_AT_MOST})\s+)?"
    rf"\b(?:(?P<exact>{'|'.join(sorted(_EXACT, key=len, reverse=True))})"
    rf"|(?P<low>{_NUMBER})(?:\s*(?:-|–|to|or|and)\s*(?P<high>{_NUMBER}))?"
    rf"|(?P<vague>{'|'.join(sorted(_VAGUE, key=len, reverse=True))}))"
    rf"\s+{_BETWEEN_WORDS}$",
    re.IGNORECASE,
)
_DENIED_BEFORE: Final = re.compile(
    rf"(?:\b(?:no|without|neither|nor|lacks?|lacking|absence of|free of|devoid of|not (?:any|a|an|contain|show))\b)"
    rf"(?:\s+(?:any|a|an|visible|sign of|signs of))*\s*{_BETWEEN_WORDS}$",
    re.IGNORECASE,
)
_JOINED: Final = re.compile(rf"\s*,?\s*(?:and|or|nor|as well as)?\s*{_BETWEEN_WORDS}", re.IGNORECASE)
_DENIED_AFTER: Final = re.compile(
    r"^\s*(?:is|are)\s+(?:absent|missing|not\s+(?:visible|present|seen|found|there))|^\s*(?:cannot|can not) be seen",
    re.IGNORECASE,
)
_BREAK: Final = re.compile(
    r"[,;:()]|\b(?:while|whereas|but|which|with)\b|\band\s+(?=the\b|a\b|an\b|some\b|several\b|many\b|there\b|"
    rf"(?:{_NUMBER})\b)",
    re.IGNORECASE,
)
_ROWS: Final = {"top": 0, "upper": 0, "north": 0, "northern": 0, "bottom": 2, "lower": 2, "south": 2, "southern": 2}
_COLUMNS: Final = {"left": 0, "west": 0, "western": 0, "right": 2, "east": 2, "eastern": 2}
_MIDDLE: Final = ("center", "centre", "central", "middle")
_SIDE: Final = "|".join([*_ROWS, *_COLUMNS, *_MIDDLE])
_PLACE: Final = re.compile(
    rf"\b(?:(?P<away>away\s+from|outside(?:\s+of)?)|in|at|on|near|along|across|towards?|within|through|to)\s+the\s+(?:(?:far|very|extreme|image's)\s+)*"
    rf"(?P<sides>(?:{_SIDE})(?:[\s-]*(?:{_SIDE}))*)\b(?:\s+(?P<extent>half|corner|side|edge|part|portion|area|region|"
    r"section|third|quadrant|margin|border|end))?"
    r"(?!\s+of\s+(?:the|a|an|this)\s+(?!image|scene|picture|frame|view|photo|photograph|area)\w)(?!\s+of\s+it\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Amount:
    """Bound a number of things; `most` is None where there is no upper bound."""

    least: int
    most: int | None

    def allows(self, low: int, high: int | None = None) -> bool:
        """Say whether a true number from `low` to `high` (or `low` itself) can be meant."""
        top = low if high is None else high
        return top >= self.least and (self.most is None or low <= self.most)


@dataclass(frozen=True, slots=True)
class Claim:
    """Hold what is said of a class: an amount, the ninths of the image that may be meant (none for no place), or that
    there is none of it; `text` is how it is said.

    `shared` are the ninths of a place that stands after a list, and may be meant of its last thing only.
    """

    label: str
    amount: Amount | None
    places: tuple[str, ...]
    denied: bool
    text: str
    shared: tuple[str, ...] = ()


def read_claims(text: str, labels: Iterable[str]) -> list[Claim]:
    """Read the claims that a text makes about classes."""
    pattern, names = _name_pattern(labels)
    if not names:
        return []
    return [claim for sentence in split_sentences(text) for claim in _read_sentence(sentence, pattern, names)]


def split_sentences(text: str) -> list[str]:
    """Split a text at the ends of its sentences; decimal points are none."""
    return [part for part in re.split(r"(?<=[.!?;])\s+", " ".join(text.split())) if part]


def read_places(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """Read the places that a text names: where each stands in it, and the ninths of the image that may be meant."""
    found = []
    for match in _PLACE.finditer(text):
        named = _to_ninths(match["sides"], match["extent"] or "")
        others = tuple(place for place in PLACES if place not in named)
        found.append((match.start(), others if match["away"] else named))
    return found


def find_spans(text: str, labels: Iterable[str]) -> list[tuple[int, int]]:
    """Give where the amounts of things of these classes stand in a text, so that other numbers can be told apart."""
    pattern, names = _name_pattern(labels)
    spans = []
    for match in pattern.finditer(text) if names else ():
        amount = _AMOUNT.search(text[: match.start()])
        spans.append((amount.start() if amount else match.start(), match.end()))
    return spans


def parse_number(word: str) -> int:
    """Read "three" or "1,200"."""
    return NUMBER_WORDS[word.lower()] if word.lower() in NUMBER_WORDS else int(word.replace(",", ""))


def _read_sentence(sentence: str, pattern: re.Pattern[str], names: dict[str, str]) -> list[Claim]:
    mentions = list(pattern.finditer(sentence))
    named, claims, joined = read_places(sentence), list[Claim](), list[bool]()
    for number, match in enumerate(mentions):
        start = mentions[number - 1].end() if number else 0
        end = mentions[number + 1].start() if number + 1 < len(mentions) else len(sentence)
        before, after = sentence[start : match.start()], sentence[match.end() : end]
        closing = _BREAK.search(after)
        tail = after[: closing.start()] if closing else after
        places = [place for at, place in named if match.end() <= at < match.end() + len(tail)]
        if not places and number == 0:
            places = [place for at, place in named if at == 0]
        joined.append(number > 0 and _JOINED.fullmatch(before) is not None)
        listed = joined[-1] and claims[-1].denied and _read_amount(before) is None
        denied = listed or bool(_DENIED_BEFORE.search(before) or _DENIED_AFTER.search(after))
        amount = None if denied else _read_amount(before)
        said = " ".join(f"{before[-40:]}{match.group()}{tail[:40]}".split())
        claims.append(Claim(names[match.group().lower()], amount, places[0] if places else (), denied, said))
    return _share_places(claims, joined)


def _share_places(claims: list[Claim], joined: list[bool]) -> list[Claim]:
    """Let the things of a list share the place that stands after its last one."""
    shared: list[Claim] = []
    for number in reversed(range(len(claims))):
        claim = claims[number]
        if shared and joined[number + 1] and not claim.places:
            claim = replace(claim, shared=shared[0].places or shared[0].shared)
        shared.insert(0, claim)
    return shared


def _read_amount(before: str) -> Amount | None:
    match = _AMOUNT.search(before)
    if match is None:
        return None
    if match["exact"]:
        number = _EXACT[match["exact"].lower()]
        return Amount(number, None if match["least"] else number)
    if match["vague"]:
        return Amount(_VAGUE[match["vague"].lower()], None)
    low = parse_number(match["low"])
    high = parse_number(match["high"]) if match["high"] else low
    if match["about"]:
        margin = max(1, round(0.2 * low))
        return Amount(max(0, low - margin), high + margin)
    if match["least"]:
        return Amount(low, None)
    return Amount(0, high) if match["most"] else Amount(low, high)


def _to_ninths(sides: str, extent: str) -> tuple[str, ...]:
    words = re.findall(_SIDE, sides.lower())
    rows = {_ROWS[word] for word in words if word in _ROWS}
    columns = {_COLUMNS[word] for word in words if word in _COLUMNS}
    middle = any(word in _MIDDLE for word in words)
    if middle:
        rows, columns = rows or {1}, columns or {1}
    if extent.lower() == "half":
        rows, columns = rows | ({1} if rows else set()), columns | ({1} if columns else set())
    return tuple(
        PLACES[3 * row + column] for row in sorted(rows or {0, 1, 2}) for column in sorted(columns or {0, 1, 2})
    )


def _name_pattern(labels: Iterable[str]) -> tuple[re.Pattern[str], dict[str, str]]:
    """Give a pattern for the names of classes, singular and plural, longest first, and the class of each name."""
    known = list(labels)
    names: dict[str, str] = {}
    for label in known:
        for name in (label, *(alias for alias in ALIASES.get(label, ()) if alias not in known)):
            for form in (name.lower(), write_plural(name.lower())):
                names.setdefault(form, label)
    ordered = sorted(names, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, ordered))})\b", re.IGNORECASE), names
