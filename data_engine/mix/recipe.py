"""A recipe says what a corpus is made of: a Python file with a function `recipe` that returns a Mix.

from data_engine.mix.recipe import Mix, Part

def recipe() -> Mix:
    return Mix(parts=(Part("out/rsicd", weight=2.0), Part("out/dota", tasks={"count": 0.5})), temperature=2.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from vlm.errors import DataError
from vlm.records import TASKS, Task


@dataclass(frozen=True, slots=True)
class Part:
    """Name one store, its weight among the parts, and the weight of some of its tasks (others have 1)."""

    store: str
    weight: float = 1.0
    tasks: Mapping[Task, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights: dict[str, float] = {"weight": self.weight} | {str(task): weight for task, weight in self.tasks.items()}
        if wrong := [name for name, weight in weights.items() if not 0 <= weight < float("inf")]:
            raise DataError(f"part {self.store} has a {wrong[0]} of {weights[wrong[0]]}: expected a number from 0 on")
        if unknown := [task for task in self.tasks if task not in TASKS]:
            raise DataError(f"part {self.store} weighs the task {unknown[0]!r}: known are {', '.join(TASKS)}")

    def weigh(self, task: Task) -> float:
        """Give the weight of the samples of a task."""
        return self.weight * self.tasks.get(task, 1.0)


@dataclass(frozen=True, slots=True)
class Mix:
    """Hold what decides over a mixture.

    A cell is the samples of one task in one part; its share is proportional to weight x samples ** (1 / temperature):
    1 keeps the sizes, a large temperature makes cells equal. `epochs` times the samples of all cells of weight above 0
    is the size of the corpus, unless `samples` states it; no sample is drawn more than `most_repeats` times, and what
    a cell may not take the others share.
    """

    parts: tuple[Part, ...]
    temperature: float = 1.0
    epochs: float = 1.0
    samples: int | None = None
    most_repeats: float = 4.0

    def __post_init__(self) -> None:
        if not self.parts:
            raise DataError("a mixture needs at least one part: Mix(parts=(Part('out/rsicd'),))")
        for name in ("temperature", "epochs", "most_repeats"):
            if not 0 < getattr(self, name) < float("inf"):
                raise DataError(f"a mixture has {name}={getattr(self, name)}: expected a number above 0")
        if self.samples is not None and self.samples < 1:
            raise DataError(f"a mixture has samples={self.samples}: expected at least 1, or None")


def load_recipe(path: Path) -> Mix:
    """Run a recipe file and give its Mix; raises DataError when it has none or breaks."""
    path = Path(path)
    spec = spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise DataError(
            f"recipe {path} does not exist or is no Python file: name one with a function `recipe` that returns a Mix, "
            "such as Mix(parts=(Part('out/a'), Part('out/b', weight=2.0)))"
        )
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        mix = module.recipe()
    except (AttributeError, ImportError, NameError, SyntaxError, TypeError, ValueError) as error:
        raise DataError(
            f"recipe {path} cannot be run ({type(error).__name__}: {error}): expected a function `recipe()` that "
            "returns a data_engine.mix.recipe.Mix"
        ) from error
    if not isinstance(mix, Mix):
        raise DataError(f"recipe {path} returns {type(mix).__name__}: expected a data_engine.mix.recipe.Mix")
    return mix
