"""Geometry <-> text, in any dialect: render_text writes, parse_text reads."""

from __future__ import annotations

from vlm.codecs.parse import ParsedText, parse_text
from vlm.codecs.render import render_text
from vlm.codecs.template import Slot, escape_braces, split_template

__all__ = ["ParsedText", "Slot", "escape_braces", "parse_text", "render_text", "split_template"]
