"""What one dataset or file format can be told beyond what all of them take: `--option key=value`, read and checked.

A dataset takes the keyword arguments of its `load` that no other one has; a format takes the fields of Reading that it
names (Format.options). Their annotations say what a value has to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

from data_engine.formats import FORMATS, Reading
from data_engine.sources import SOURCES
from data_engine.sources.source import Loader
from vlm.errors import DataError

_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")
_OF_ALL: Final = get_type_hints(Loader.__call__)
_EXPECTED: Final = {bool: "yes or no", int: "a whole number"}


def list_options(source: str) -> dict[str, type]:
    """Give the options of a dataset or format and the type of each, bool or int; none for an unknown name."""
    if source in SOURCES:
        hints = get_type_hints(SOURCES[source].load)
        return _types(hints, [name for name in hints if name not in _OF_ALL])
    return _types(get_type_hints(Reading), FORMATS[source].options) if source in FORMATS else {}


def parse_options(texts: Sequence[str], source: str) -> dict[str, Any]:
    """Read `key=value` texts into what the dataset or format takes.

    Raises DataError for a text without a value, for an option that it does not take, and for a value of another type.
    """
    known, found = list_options(source), {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise DataError(f"option {text!r} has no value: write --option {key or 'key'}=value")
        if key not in known:
            takes = f"known are {write_options(source)}" if known else "it takes none"
            raise DataError(f"{source} takes no option {key!r}: {takes}")
        found[key] = _parse(value, known[key], f"option {key} of {source}")
    return found


def write_options(source: str) -> str:
    """Write the options of a dataset or format as help shows them: "one_based (yes or no)"."""
    return ", ".join(f"{key} ({_EXPECTED[kind]})" for key, kind in list_options(source).items())


def _types(hints: Mapping[str, Any], names: Iterable[str]) -> dict[str, type]:
    """Give the type behind each of the annotations named, without the None that may stand beside it."""
    kinds = {name: get_args(hints[name]) or (hints[name],) for name in names}
    return {name: next(kind for kind in found if kind is not NoneType) for name, found in kinds.items()}


def _parse(text: str, kind: type, name: str) -> Any:
    if kind is bool and text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    if kind is int and text.isascii() and text.isdigit():
        return int(text)
    raise DataError(f"{name} is {text!r}: expected {_EXPECTED[kind]}")
