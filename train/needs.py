"""What a stage cannot do without in its data: said from the stores' manifests, before anything is loaded or begun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from data_engine.store.manifest import open_store
from train.recipes import Recipe
from vlm.errors import DataError
from vlm.records import TASKS, Task


def check_tasks(recipe: Recipe, data: Path, stage: str, tasks: Collection[Task], advice: str) -> None:
    """Refuse, with DataError, a recipe's data of which no sample has one of the tasks that a stage learns from."""
    held: Counter[str] = Counter()
    for share in recipe.shares:
        held.update(open_store(data / share.folder).counts.get("task", {}))
    if recipe.shares and not any(held[task] for task in tasks):
        named = ", ".join(task for task in TASKS if task in tasks)
        there = ", ".join(f"{task} {count:,}" for task, count in held.most_common()) or "no samples"
        raise DataError(f"{stage} learns from samples of {named}, and {data} holds {there}: {advice}")
