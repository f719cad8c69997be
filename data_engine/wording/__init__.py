"""Paraphrases of the instructions that recipes make, one file per family; templates.write_instruction draws from them.

Words in braces are filled in: `{phrase}`, `{other}` and `{third}` name things, `{plural}` and `{others}` are their
plurals, `{article}` and `{other_article}` their articles, `{place}` is "at the top", `{relation}` "above", `{classes}`
and `{choices}` are lists, `{region}` is a slot such as `{box:0}`.
"""

from __future__ import annotations

from typing import Final

from data_engine.wording.cdvqa import CDVQA
from data_engine.wording.change import CHANGE
from data_engine.wording.geometry import GEOMETRY
from data_engine.wording.maps import MAPS
from data_engine.wording.objects import OBJECTS
from data_engine.wording.places import PLACED

__all__ = ["WORDING"]

WORDING: Final[dict[str, tuple[str, ...]]] = {**OBJECTS, **PLACED, **GEOMETRY, **CHANGE, **CDVQA, **MAPS}
