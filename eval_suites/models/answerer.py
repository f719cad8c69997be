"""The one interface of everything that answers cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from eval_suites.cases import Case


class Answerer(Protocol):
    """Answer cases as text.

    `digest` is another for every model whose answers may differ, `dialect` says how its text holds geometry, `batch`
    is how many cases it is handed at once, `sees` is false for what cannot be asked without images (a file of
    predictions), and `facts` are what belongs beside its scores.
    """

    name: str
    digest: str
    dialect: str
    batch: int
    sees: bool

    @property
    def facts(self) -> dict[str, object]:
        """Give what belongs beside the scores."""
        ...

    def begin(self, folder: Path) -> None:
        """Take the folder of the run that follows; an endpoint keeps its answers there."""
        ...

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> Iterable[str | None]:
        """Give the raw text of each case's answer in their order (None: none); `blind` leaves the images away."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...
