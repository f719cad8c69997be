"""`key=value` sets any field by name and type, and what it cannot set it says in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from train.overrides import list_keys, override
from vlm.errors import InputError


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    kind: Literal["full", "lora"] = "full"
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Outer:
    batch: int = 4
    groups: int | None = None
    bf16: bool = False
    out: str = "here"
    inner: Inner = field(default_factory=Inner)
    table: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Other:
    scenes: int = 3


def test_every_type_is_read() -> None:
    pairs = ["batch=8", "groups=2", "bf16=yes", "out=a=b", "inner.rate=1e-2", "inner.kind=lora", "inner.names=x,y"]
    (made,) = override([Outer()], pairs)
    assert made == Outer(8, 2, True, "a=b", Inner(0.01, "lora", ("x", "y")))
    assert override([made], ["groups=none"])[0].groups is None


def test_each_setting_goes_to_the_first_that_has_it() -> None:
    assert override([Outer(), Other()], ["scenes=5", "batch=1"]) == [Outer(batch=1), Other(5)]


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("batch", r"'batch' is no setting: expected key=value, such as batch=4"),
        ("bach=3", r"there is no setting 'bach': did you mean batch\? known are batch, groups"),
        ("inner.bogus=1", r"no setting 'inner.bogus': known are inner.rate, inner.kind, inner.names$"),
        ("table=1", r"there is no setting 'table'"),
        ("batch=four", r"batch=four cannot be read: expected a whole number, now 4"),
        ("bf16=perhaps", r"expected true or false, now False"),
        ("groups=1.5", r"expected a whole number or none, now None"),
        ("inner.kind=big", r"expected one of full, lora, now full"),
    ],
)
def test_what_cannot_be_set_is_said(pair: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        override([Outer()], [pair])


def test_keys_are_those_that_a_command_line_can_write() -> None:
    assert [name for name, _ in list_keys(Outer())] == [
        "batch", "groups", "bf16", "out", "inner.rate", "inner.kind", "inner.names",
    ]  # fmt: skip
