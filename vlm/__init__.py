"""Nadir's model room: imagery and an instruction go in, an answer on the map comes out.

Names are loaded when they are used, so that the torch-free half (records, geometry, raster, tiling, codecs) imports
fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlm.answer import Chat, Nadir, Request
    from vlm.records import Answer, Image, Region, Sample, Turn

__all__ = ["Answer", "Chat", "Image", "Nadir", "Region", "Request", "Sample", "Turn"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'vlm' has no attribute {name!r}: public names are {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module("vlm.answer" if name in ("Chat", "Nadir", "Request") else "vlm.records"), name)
