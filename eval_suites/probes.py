"""Consistency probes: the same question about an image that differs in nothing that matters; does the answer survive?

    flip        left and right change sides, in the image and in the words
    turn        a quarter turn clockwise; questions that name a place in the image are left out
    brightness  a fifth brighter
    jpeg        stored as JPEG of quality 50
    shift       moved by one pixel to the right
    options     the options of a multiple choice question in reverse order
    swap        the two dates change places; questions about a direction of time are left out

An answer survives when it says the same: the same option, the same words, or regions that overlap by half. It need not
be right: consistency is measured beside the score, not in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from eval_suites.cases import Case
from eval_suites.images import frames
from eval_suites.masks import draw
from eval_suites.rules.judged import payload
from eval_suites.rules.letters import read_letter
from eval_suites.suites.asking import LETTERS
from vlm.codecs import parse_text
from vlm.errors import DataError
from vlm.geometry import Geometry, Mask, flip, iou, rotate90, shift
from vlm.output import replacing
from vlm.records import Region

Words = Callable[[str], str]
Move = Callable[[Geometry, tuple[int, int]], Geometry]
Pixels = Callable[[np.ndarray], np.ndarray]
SURVIVES: Final = 0.5
_PAIRS: Final = (("left", "right"), ("leftmost", "rightmost"), *(
    (f"{part}west{end}", f"{part}east{end}") for part in ("", "north", "south") for end in ("", "ern", "ernmost")
))  # fmt: skip
SIDES: Final = dict(_PAIRS) | {other: one for one, other in _PAIRS}
PLACES: Final = re.compile(
    r"\b((left|right|top|bottom|upper|lower)(most)?|above|below|(north|south|west|east|vertical|horizontal)\w*)\b",
    re.IGNORECASE,
)
DIRECTED: Final = re.compile(
    r"\b(increas|decreas|appear|disappear|new|built|construct|remov|demolish|before|after|first|second|from|to what|"
    r"become|became|turn(ed)? into|replac)",
    re.IGNORECASE,
)
LETTERS_ALONE: Final = re.compile(r"[A-J](\W*[A-J])*\W*")
OPTION: Final = re.compile(r"^(\s*\(?)([A-J])([.):]\s*)(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Probe:
    """Describe a probe: what it does to pixels (h, w, 3), to geometry in pixels, and to words; what it leaves out."""

    name: str
    pixels: Pixels | None = None
    move: Move = lambda geometry, size: geometry
    words: Words = str
    leaves_out: Callable[[Case], bool] = lambda case: False
    quality: int | None = None


def probe_case(probe: Probe, case: Case, folder: Path) -> Case | None:
    """Give the case as the probe asks it, its images written below `folder`; None where the probe does not apply."""
    if case.window is not None or probe.leaves_out(case):
        return None
    if probe.name == "options":
        return _reorder(case)
    if probe.name == "swap":
        return replace(case, images=case.images[::-1], sizes=case.sizes[::-1])
    images = tuple(_write(Path(image), probe, folder) for image in case.images)
    turned = probe.name == "turn"
    sizes = tuple((h, w) if turned else (w, h) for w, h in case.sizes)
    size = frames(case)[0] if case.regions else (0, 0)
    return replace(
        case,
        images=images,
        sizes=sizes,
        instruction=probe.words(case.instruction),
        phrase=probe.words(case.phrase),
        answers=tuple(probe.words(answer) for answer in case.answers),
        options=tuple(probe.words(option) for option in case.options),
        regions=tuple(Region(probe.move(one.geometry, size), probe.words(one.phrase)) for one in case.regions),
    )


def survives(probe: Probe, case: Case, told: str, probed: Case, told_probed: str, dialect: str) -> bool:
    """Say whether two answers are the same, the first one moved as the probe moves."""
    if probe.name == "options":
        first, second = _options(case, told), _options(probed, told_probed)
        return bool(first) and first == second
    if case.form or case.regions:
        return _overlap(probe, case, told, probed, told_probed, dialect)
    return _plain(probe.words(payload(told))) == _plain(payload(told_probed))


def find_probes(names: str, known: Sequence[str]) -> tuple[Probe, ...]:
    """Give probes by their names with commas, or `all` that a suite has (it may have none); DataError lists them."""
    wanted = list(known) if names == "all" else [name for name in names.split(",") if name]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise DataError(f"no probe {', '.join(unknown)} for this suite: it has {', '.join(known) or 'none'}")
    return tuple(PROBES[name] for name in wanted)


def _overlap(probe: Probe, case: Case, told: str, probed: Case, told_probed: str, dialect: str) -> bool:
    """Compare the regions of two answers: of one box by IoU, of several or a mask by the IoU of what they cover."""
    size = frames(case)[0]
    first = parse_text(told, sizes=frames(case), dialect=dialect).regions
    second = parse_text(told_probed, sizes=frames(probed), dialect=dialect).regions
    if not first or not second:
        return not first and not second
    moved = [Region(probe.move(region.geometry, size)) for region in first]
    if case.form in ("box", "obb") or (not case.form and not isinstance(case.regions[0].geometry, Mask)):
        return iou(moved[0].geometry, second[0].geometry) >= SURVIVES
    covered = [draw(regions, frames(probed)[0]) for regions in (moved, second)]
    union = int((covered[0] | covered[1]).sum())
    return not union or int((covered[0] & covered[1]).sum()) / union >= SURVIVES


def _reorder(case: Case) -> Case | None:
    """Give a multiple choice case with its options in reverse order; None where the prompt does not list them."""
    count = len(case.options)
    listed = [found[4].strip() for found in OPTION.finditer(case.instruction)]
    if count < 2 or listed[-count:] != list(case.options):
        return None
    turned = case.options[::-1]
    seen = iter(range(len(listed)))
    start = len(listed) - count

    def write(found: re.Match[str]) -> str:
        place = next(seen) - start
        return found[0] if place < 0 else f"{found[1]}{found[2]}{found[3]}{turned[place]}"

    letters = dict(zip(LETTERS[:count], LETTERS[:count][::-1], strict=True))
    answers = tuple("".join(letters.get(letter, letter) for letter in answer) for answer in case.answers)
    return replace(case, instruction=OPTION.sub(write, case.instruction), options=turned, answers=answers)


def _options(case: Case, told: str) -> frozenset[str]:
    """Give the texts of the options that an answer chooses: its letter, or all where it is nothing but letters."""
    said = payload(told)
    letters = re.findall(r"[A-J]", said) if LETTERS_ALONE.fullmatch(said.strip()) else [read_letter(said)]
    places = [LETTERS.find(letter or "?") for letter in letters]
    return frozenset(case.options[place] for place in places if 0 <= place < len(case.options))


def _write(path: Path, probe: Probe, folder: Path) -> str:
    """Write a probed copy of an image once; PNG, or JPEG where the probe is about that."""
    from PIL import Image

    from vlm.overlay import load_pictures

    suffix = "png" if probe.quality is None else "jpg"
    place = folder / f"{'__'.join(path.parts[-3:])}.{suffix}"
    if not place.exists():
        (picture,) = load_pictures([path], size_px=1_000_000)
        pixels = probe.pixels(picture.rgb) if probe.pixels else picture.rgb
        with replacing(place) as temporary:
            image = Image.fromarray(np.ascontiguousarray(pixels))
            image.save(temporary, "PNG" if probe.quality is None else "JPEG", quality=probe.quality or 95)
    return str(place)


def _swap_words(text: str, *, pairs: Mapping[str, str]) -> str:
    """Put each word of the pairs in the place of the other, with its capital."""

    def write(found: re.Match[str]) -> str:
        other = pairs[found[0].lower()]
        return other.upper() if found[0].isupper() else other.capitalize() if found[0][0].isupper() else other

    return re.sub(rf"(?<![a-zA-Z])({'|'.join(pairs)})(?![a-zA-Z])", write, text, flags=re.IGNORECASE)


def _words_of(case: Case) -> str:
    return " ".join((case.instruction, case.phrase, *case.answers, *case.options))


def _plain(text: str) -> str:
    return " ".join(text.lower().strip().strip(".").split())


def _brighten(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels.astype(np.float32) * 1.2, 0, 255).astype(np.uint8)


def _push(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate((pixels[:, :1], pixels[:, :-1]), axis=1)


def _mirror(geometry: Geometry, size: tuple[int, int]) -> Geometry:
    return flip(geometry, width=size[0], height=size[1], axis="x")


def _turn(geometry: Geometry, size: tuple[int, int]) -> Geometry:
    return rotate90(geometry, width=size[0], height=size[1])


def _not_two(case: Case) -> bool:
    return len(case.images) != 2 or bool(DIRECTED.search(_words_of(case)))


PROBES: Final[dict[str, Probe]] = {
    probe.name: probe
    for probe in (
        Probe("flip", lambda pixels: pixels[:, ::-1], _mirror, partial(_swap_words, pairs=SIDES)),
        Probe("turn", lambda p: np.rot90(p, -1), _turn, leaves_out=lambda case: bool(PLACES.search(_words_of(case)))),
        Probe("brightness", _brighten),
        Probe("jpeg", quality=50),
        Probe("shift", _push, lambda geometry, size: shift(geometry, 1, 0)),
        Probe("options", leaves_out=lambda case: not case.options),
        Probe("swap", leaves_out=_not_two),
    )
}
"""The probes by name; each suite says which of them mean anything for it."""
