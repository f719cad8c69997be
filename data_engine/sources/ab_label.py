"""The A / B / label folder layout that the change-detection code bases share; levir_cd and dsifn read it.

    A/<name>.png  B/<name>.png  label/<name>.png (0 / 255)  list/<split>.txt (one file name a line)
A split is `list/<split>.txt` where that file exists, else the files whose name starts with `<split>_`; "all" is every
pair that has a label. A folder that tells no split in either way is training data as a whole. A file without a label is
no pair here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.changes import ChangeScene
from data_engine.labels import load_mask
from data_engine.sources.source import describe_image, require_path, require_split
from vlm.errors import DataError

SPLITS: Final = ("train", "val", "test", "all")


def load_scenes(
    root: Path,
    *,
    split: str,
    name: str,
    layout: str,
    licence: str,
    forward: str,
    backward: str | None,
    gsd_m: float | None = None,
) -> Iterator[ChangeScene]:
    """Yield each pair of the split with its change mask and the sentences that describe its change."""
    require_split(name, split, SPLITS)
    root = Path(root)
    for folder in ("A", "B", "label"):
        require_path(root / folder, name=name, layout=layout)
    for file in _list_files(root, split, name):
        before, after = (
            describe_image(root / folder / file, name=name, layout=layout, gsd_m=gsd_m) for folder in ("A", "B")
        )
        require_path(root / "label" / file, name=name, layout=layout)
        changed = load_mask(root / "label" / file)
        key = f"{name}/{split}/{Path(file).stem}"
        yield ChangeScene(key, before, after, changed, forward, backward, name, split, licence)


def _list_files(root: Path, split: str, name: str) -> list[str]:
    labelled = sorted(path.name for path in (root / "label").iterdir() if path.is_file())
    listings = {known: root / "list" / f"{known}.txt" for known in SPLITS}
    if split == "all":
        return labelled
    if listings[split].exists():
        return [line.strip() for line in listings[split].read_text(encoding="utf-8").splitlines() if line.strip()]
    named = {known: [file for file in labelled if file.startswith(f"{known}_")] for known in SPLITS}
    tells_splits = any(named.values()) or any(path.exists() for path in listings.values())
    if split == "train" and not tells_splits:
        return labelled
    if not named[split]:
        raise DataError(
            f"{name}: {root} has neither list/{split}.txt nor files named {split}_*: write the list or take split 'all'"
        )
    return named[split]
