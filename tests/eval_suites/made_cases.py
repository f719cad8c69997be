"""Cases and an answerer made by hand: what a case file would hold, and a model that says what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from eval_suites.cases import Case
from vlm.geometry import Geometry
from vlm.records import Region


def make_case(
    number: int,
    *,
    answers: Sequence[str] = (),
    category: str = "any",
    geometry: Geometry | None = None,
    group: str | None = None,
    size: tuple[int, int] = (100, 50),
    instruction: str = "What is it?",
) -> Case:
    regions = () if geometry is None else (Region(geometry, "car"),)
    name = group or f"image-{number}"
    return Case(f"case/{number}", name, (f"{name}.png",), (size,), None, instruction, category, tuple(answers), regions)


class FakeAnswerer:
    """Answer by a function of the case and of whether it is seen; remember what was asked."""

    name, dialect, batch, sees = "fake", "nadir", 24, True

    def __init__(self, say: Callable[[Case, bool], str], *, digest: str = "one", stop_after: int | None = None) -> None:
        self.say, self.digest, self.stop_after = say, digest, stop_after
        self.asked: list[tuple[str, bool]] = []
        self.facts: dict[str, object] = {}

    def begin(self, folder: Path) -> None:
        """Nothing is kept beside the samples."""

    def ask(self, cases: Sequence[Case], *, max_new_tokens: int, blind: bool) -> list[str]:
        del max_new_tokens
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += [(case.id, blind) for case in cases]
        return [self.say(case, blind) for case in cases]

    def close(self) -> None:
        """Nothing is under way."""
