"""Cases of benchmarks, made the same way everywhere: ids of their own, choices as options, boxes as regions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from eval_suites.cases import Case, Form
from vlm.geometry import HBB, Geometry
from vlm.geometry.shapes import Polygon
from vlm.records import Region

LETTERS: Final = "ABCDEFGHIJ"
_CHOICE: Final = re.compile(r"^\s*\(?([A-J])[.):]\s*(.*)$", re.MULTILINE)


def ask(
    number: object,
    images: Sequence[str],
    instruction: str,
    *,
    answers: Iterable[object] = (),
    category: object = "",
    group: str | None = None,
    regions: Sequence[tuple[str, Geometry]] = (),
    form: Form = "",
    phrase: str = "",
    options: Sequence[str] = (),
    truth: Any = None,
    sizes: Sequence[tuple[int, int]] = (),
    values: Mapping[str, Any] | None = None,
) -> Case:
    """Build a case; it is drawn together with the others of its images."""
    return Case(
        str(number),
        group or "+".join(images),
        tuple(images),
        tuple(sizes),
        None,
        instruction.strip(),
        str(category),
        tuple(str(answer) for answer in answers),
        tuple(Region(geometry, name) for name, geometry in regions),
        form,
        phrase,
        tuple(options),
        truth,
        dict(values or {}),
    )


def number_twins(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Give cases whose id occurs several times the number of the occurrence behind it."""
    listed = list(cases)
    counts, seen = Counter(case.id for case in listed), Counter[str]()
    out = []
    for case in listed:
        seen[case.id] += 1
        out.append(replace(case, id=f"{case.id}#{seen[case.id]}") if counts[case.id] > 1 else case)
    return tuple(out)


def read_options(lines: Iterable[str] | str) -> tuple[str, ...]:
    """Give the texts of choices written `(A) text`, `A. text` or `A.text`, in their order."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    return tuple(found[2].strip() for found in _CHOICE.finditer(text))


def polygon_of(numbers: Sequence[float]) -> Polygon:
    """Give a polygon of x y x y ... in pixels."""
    points = [(float(x), float(y)) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    return Polygon(tuple(points))


def box_of(numbers: Sequence[float]) -> HBB:
    """Give a box of x1 y1 x2 y2 in pixels, whatever corners were named."""
    x1, x2 = sorted((float(numbers[0]), float(numbers[2])))
    y1, y2 = sorted((float(numbers[1]), float(numbers[3])))
    return HBB(x1, y1, max(x2, x1 + 1e-6), max(y2, y1 + 1e-6))
