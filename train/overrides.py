"""`key=value` on the command line: any field of a stage's configuration, checked by name and type.

override([config], ["batch=4", "rates.encoder=0.1", "adapter.kind=lora"])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vlm.errors import InputError

TRUE, FALSE, NOTHING = ("true", "yes", "1"), ("false", "no", "0"), ("none", "")


def override(configs: Sequence[Any], pairs: Sequence[str]) -> list[Any]:
    """Give frozen dataclasses with `key=value` pairs set, each in the first of them that has the key.

    A key of a nested dataclass has dots. Raises InputError for an unknown key, a value of another type and a pair that
    is none.
    """
    found = list(configs)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{pair!r} is no setting: expected key=value, such as batch=4")
        known = [[name for name, _ in list_keys(config)] for config in found]
        owner = next((index for index, names in enumerate(known) if key in names), None)
        if owner is None:
            raise InputError(_say_unknown(key, [name for names in known for name in names]))
        found[owner] = _set(found[owner], key.split("."), value, key)
    return found


def list_keys(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of every field that can be set; those of nested dataclasses with dots."""
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from list_keys(value, f"{prefix}{field.name}.")
        elif _settable(get_type_hints(type(config))[field.name]):
            yield prefix + field.name, value


def _say_unknown(key: str, known: list[str]) -> str:
    """Say what the key is not: beside a nested one its siblings, else all that there are."""
    head = key.rpartition(".")[0]
    siblings = [name for name in known if head and name.startswith(f"{head}.")] or known
    near = get_close_matches(key, known, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no setting {key!r}: {hint}known are {', '.join(siblings)}"


def _set(config: Any, path: list[str], text: str, key: str) -> Any:
    name, *rest = path
    if rest:
        return replace(config, **{name: _set(getattr(config, name), rest, text, key)})
    kind = get_type_hints(type(config))[name]
    try:
        value = _read(text, kind)
    except ValueError as error:
        raise InputError(f"{key}={text} cannot be read: expected {_say(kind)}, now {getattr(config, name)}") from error
    return replace(config, **{name: value})


def _read(text: str, kind: Any) -> Any:
    """Read a text as a type; ValueError where it is none."""
    origin, choices = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if text.lower() in NOTHING and type(None) in choices:
            return None
        return _read(text, next(choice for choice in choices if choice is not type(None)))
    if origin is tuple:
        return tuple(_read(part, choices[0]) for part in text.split(",") if part)
    if origin is Literal:
        named = {str(choice): choice for choice in choices}
        if text not in named:
            raise ValueError(text)
        return named[text]
    if kind is bool:
        if text.lower() not in (*TRUE, *FALSE):
            raise ValueError(text)
        return text.lower() in TRUE
    return kind(text)


def _say(kind: Any) -> str:
    origin, choices = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(_say(choice) for choice in choices)
    if origin is tuple:
        return f"{_say(choices[0])}, several separated by commas"
    if origin is Literal:
        return "one of " + ", ".join(map(str, choices))
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "none"}
    return words.get(kind, getattr(kind, "__name__", str(kind)))


def _settable(kind: Any) -> bool:
    """Tell whether a value of a type can be written on a command line."""
    origin, choices = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return all(_settable(choice) for choice in choices)
    if origin is tuple:
        return len(choices) == 2 and choices[1] is Ellipsis and _settable(choices[0])
    return origin is Literal or kind in (bool, int, float, str, type(None))
