"""Answer templates: text with slots. `{box:0,2}` writes regions 0 and 2 as boxes, `{ref box:0}` the phrase too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from vlm.dialects import KINDS, Kind
from vlm.errors import DataError

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<ref>ref )?(?P<kind>" + "|".join(KINDS) + r"):(?P<indices>\d+(?:,\d+)*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Slot:
    """Name the regions to write, the kind to write them as, and whether their phrase comes first."""

    kind: Kind
    indices: tuple[int, ...]
    ref: bool = False

    def __str__(self) -> str:
        return f"{{{'ref ' if self.ref else ''}{self.kind}:{','.join(map(str, self.indices))}}}"


def escape_braces(text: str) -> str:
    """Double the braces of a text, so that a template shows it as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def split_template(template: str) -> Iterator[str | Slot]:
    """Give the pieces of a template in order: literal text with single braces again, and slots.

    Raises DataError for a brace that is neither doubled nor part of a slot.
    """
    end = 0
    for match in _PIECE.finditer(template):
        if match.start() > end:
            yield template[end : match.start()]
        end = match.end()
        piece = match.group()
        if match["kind"] is not None:
            indices = tuple(int(index[:9]) for index in match["indices"].split(","))
            yield Slot(cast(Kind, match["kind"]), indices, match["ref"] is not None)
        elif piece in ("{{", "}}"):
            yield piece[0]
        else:
            raise DataError(
                f"a template has a lone {piece!r} at character {match.start()} ({template[match.start() :][:40]!r}): "
                "expected a slot such as {box:0,2} or {ref obb:1}; double a brace that is meant as text"
            )
    if end < len(template):
        yield template[end:]
