"""What the decoder collects while it reads a text from left to right: regions, slots, text and what was odd."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from vlm.codecs.layouts import NUMBER
from vlm.codecs.numbers import decode_numbers
from vlm.codecs.render import unescape_phrase
from vlm.codecs.template import Slot
from vlm.dialects import Dialect, Form, Frame
from vlm.records import Issue, IssueKind, Region

EXCERPT = 120  # characters of the original text that an issue quotes


@dataclass(slots=True)
class Reader:
    """Collect regions, pieces of the template and issues.

    `reported` are the places of what looks like a region and has an issue already; `run_end` and `run_phrase` are the
    end and the phrase of the last run of number tokens.
    """

    dialect: Dialect
    frames: Sequence[Frame]
    text: str
    regions: list[Region] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    reported: set[int] = field(default_factory=set)
    run_end: int = -1
    run_phrase: str = ""

    def note(self, kind: IssueKind, text: str, detail: str) -> None:
        """Count one oddity."""
        self.issues.append(Issue(kind, text[:EXCERPT], detail))


@dataclass(frozen=True, slots=True)
class Item:
    """Hold one written shape: its rings of numbers, the text it came from, and whether the text ends it."""

    rings: tuple[tuple[float, ...], ...]
    text: str
    closed: bool = True


def read_numbers(text: str) -> tuple[float, ...]:
    """Read all numbers of a text; absurdly long ones are cut, they are out of range anyway."""
    return tuple(float(number[:24]) for number in NUMBER.findall(text))


def decode_items(items: Iterable[Item], form: Form, image: int, reader: Reader) -> list[Region]:
    """Turn written shapes into regions and count what was odd."""
    found = []
    for item in items:
        if not item.closed or not _is_complete(item, form):
            note_incomplete(item, reader)
            continue
        geometry, clipped, reordered = decode_numbers(item.rings, form, reader.dialect, reader.frames[image])
        if clipped:
            reader.note("clipped", item.text, "what lies outside the grid was cut off or moved to its edge")
        if reordered:
            reader.note("reordered", item.text, "swapped corners or sides were put in order")
        found.append(Region(geometry, image=image))
    return found


def note_incomplete(item: Item, reader: Reader) -> None:
    """Report an item that lacks numbers."""
    if not item.closed:
        reader.note("truncated", item.text, "the list was cut off; its complete items are kept")
    else:
        reader.note("unparsed", item.text, f"{sum(map(len, item.rings))} numbers make no shape of this kind")


def make_slots(found: list[Region], form: Form, phrase: str, reader: Reader, *, ref: bool = True) -> list[str]:
    """Add regions and give the slot that writes them again; `ref` false leaves their phrase out of the text."""
    if not found:
        return []
    first = len(reader.regions)
    phrase = unescape_phrase(phrase)
    reader.regions += [replace(region, phrase=phrase) if phrase else region for region in found]
    named = ref and (bool(phrase) or any(region.phrase for region in found))
    return [str(Slot(form.kind, tuple(range(first, len(reader.regions))), named))]


def _is_complete(item: Item, form: Form) -> bool:
    """Say whether an item has the numbers that its form needs."""
    if form.fields:
        return len(item.rings) == 1 and len(item.rings[0]) == len(form.fields)
    return bool(item.rings) and all(len(ring) >= 6 and len(ring) % 2 == 0 for ring in item.rings)
