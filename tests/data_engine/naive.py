"""A reader who knows no margins and shares no code with the recipes: reads a question, looks at the objects, answers.

Instructions are recognised by their paraphrases; phrases such as "second red car from the left" or "ship in the top
left" are evaluated literally, with thirds, centres and areas computed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from data_engine.templates import INSTRUCTIONS
from data_engine.wording import WORDING

PLACES = {
    (0, 0): "top left", (1, 0): "top", (2, 0): "top right", (0, 1): "left", (1, 1): "center", (2, 1): "right",
    (0, 2): "bottom left", (1, 2): "bottom", (2, 2): "bottom right",
}  # fmt: skip
ONE_PLACE = f"(?:in|at|on) the (?:{'|'.join(sorted(PLACES.values(), key=len, reverse=True))})"
NARROW = {
    "article": "an?", "other_article": "an?", "place": ONE_PLACE, "other_place": ONE_PLACE,
    "relation": "(?:above|below)(?: and to the (?:left|right) of)?|to the (?:left|right) of",
}  # fmt: skip
WORDS = re.compile(r"\\\{(\w+)\\\}")


@dataclass(frozen=True)
class Thing:
    """An object as the reader sees it."""

    label: str
    x: float
    y: float
    area: float
    colour: str | None = None


@dataclass(frozen=True)
class World:
    """A picture of things."""

    things: tuple[Thing, ...]
    width: int
    height: int

    def find(self, phrase: str) -> list[int]:
        """Give every thing that a phrase fits, read literally."""
        return list(self._fits(phrase.removesuffix(" of the image").removesuffix(" of the picture")))

    def only(self, phrase: str) -> Thing:
        """Give the one thing that a phrase fits; LookupError where it fits none or several."""
        found = self.find(phrase)
        if len(found) != 1:
            raise LookupError(f"{phrase!r} fits {found}")
        return self.things[found[0]]

    def place(self, thing: Thing) -> str:
        column, row = (min(2, int(3 * share)) for share in (thing.x / self.width, thing.y / self.height))
        return PLACES[column, row]

    def _fits(self, phrase: str) -> Iterator[int]:
        if match := re.fullmatch(r"(.+) nearest to the (.+)", phrase):
            anchor = self.only(match[2])
            members = self.find(match[1])
            distances = [math.dist((self.things[at].x, self.things[at].y), (anchor.x, anchor.y)) for at in members]
            yield from (at for at, far in zip(members, distances, strict=True) if far == min(distances))
        elif match := re.fullmatch(r"(.+) (above|below|to the left of|to the right of) the (.+)", phrase):
            anchor = self.only(match[3])
            yield from (at for at in self.find(match[1]) if lies(match[2], self.things[at], anchor))
        elif match := re.fullmatch(
            r"(.+) (?:in|at|on) the ((?:top|bottom)? ?(?:left|right)?|top|bottom|center)", phrase
        ):
            yield from (at for at in self.find(match[1]) if self.place(self.things[at]) == match[2])
        elif match := re.fullmatch(r"(second|third) (.+) from the (left|right|top|bottom)", phrase):
            order = sorted(self.find(match[2]), key=lambda at: side(match[3], self.things[at]))
            yield order[("second", "third").index(match[1]) + 1]
        elif match := re.fullmatch(r"(left|right|top|bottom)-most (.+)", phrase):
            yield from self._best(match[2], lambda thing: -side(match[1], thing))
        elif match := re.fullmatch(r"(largest|smallest) (.+)", phrase):
            sign = 1 if match[1] == "largest" else -1
            yield from self._best(match[2], lambda thing: sign * thing.area)
        else:
            yield from (
                at for at, thing in enumerate(self.things) if phrase in (thing.label, f"{thing.colour} {thing.label}")
            )

    def _best(self, phrase: str, value) -> Iterator[int]:
        members = self.find(phrase)
        best = max((value(self.things[at]) for at in members), default=0)
        yield from (at for at in members if value(self.things[at]) == best)


def side(name: str, thing: Thing) -> float:
    """Give how far a thing lies from a side, from the left or the top in pixels."""
    return {"left": thing.x, "right": -thing.x, "top": thing.y, "bottom": -thing.y}[name]


def lies(relation: str, one: Thing, other: Thing) -> bool:
    """Tell whether the centre of a thing lies in a relation to that of the other; each part of it must hold."""
    tests = {
        "above": one.y < other.y, "below": one.y > other.y, "left": one.x < other.x, "right": one.x > other.x,
    }  # fmt: skip
    return all(tests[word] for word in re.findall(r"above|below|left|right", relation))


def sector(relation: str, one: Thing, other: Thing) -> bool:
    """Tell whether the direction from the other thing is the nearest of the eight to what the relation says."""
    steps = {"above": (0, -1), "below": (0, 1), "left": (-1, 0), "right": (1, 0)}
    x, y = (sum(steps[word][axis] for word in re.findall(r"above|below|left|right", relation)) for axis in (0, 1))
    turn = math.atan2(one.y - other.y, one.x - other.x) - math.atan2(y, x)
    return abs(math.remainder(turn, math.tau)) <= math.tau / 16 + 1e-9


@cache
def read_instruction(text: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """Give every kind of instruction that a text can be, with its words."""
    first = text.split(" ", 1)[0]
    tried = (*PATTERNS.get(first, ()), *PATTERNS[""])
    return tuple((kind, match.groupdict()) for kind, pattern in tried if (match := pattern.fullmatch(text)))


def _pattern(text: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        again = match[1] in seen
        seen.add(match[1])
        return f"(?P={match[1]})" if again else f"(?P<{match[1]}>{NARROW.get(match[1], '.*')})"

    return re.compile(WORDS.sub(group, re.escape(text)))


def _collect() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Sort the paraphrases by their first word; those that start with a word to fill in come under the empty one."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": []}
    for kind, texts in {**INSTRUCTIONS, **WORDING}.items():
        for text in texts:
            first = text.split(" ", 1)[0]
            found.setdefault("" if "{" in first else first, []).append((kind, _pattern(text)))
    return found


PATTERNS = _collect()
