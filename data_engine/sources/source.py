"""What a source is, and the checks that all of them share: folders, splits, JSON, image headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from data_engine.sources.boundary import Reject
from data_engine.store.images import ImageFaultError
from vlm.errors import DataError
from vlm.records import Image, Sample

if TYPE_CHECKING:
    from data_engine.changes import ChangeScene
    from data_engine.objects import Scene


class Loader(Protocol):
    """Read one split of a dataset below `root`; records that cannot be converted go to `reject` (convert_each)."""

    def __call__(self, root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]: ...


class SceneLoader(Protocol):
    """Read the images of one split with their objects, or the pairs with their change; as Loader in all else."""

    def __call__(self, root: Path, *, split: str, reject: Reject | None = None) -> Iterator[Scene | ChangeScene]: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Describe a dataset: how it is loaded, its splits, its files (`layout`), licence and citation.

    `load_scenes` is there for sets of labelled objects and of changes.
    """

    name: str
    load: Loader
    splits: tuple[str, ...]
    layout: str
    licence: str
    citation: str
    load_scenes: SceneLoader | None = None


def require_split(name: str, split: str, splits: tuple[str, ...]) -> None:
    """Refuse a split that the source does not have."""
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}: known are {', '.join(splits)}")


def require_path(path: Path, *, name: str, layout: str) -> Path:
    """Give the path back, or raise DataError that says what the folder of this source has to hold."""
    if not path.exists():
        raise DataError(_say_missing(path, name, layout))
    return path


def require_image(path: Path, *, name: str, layout: str) -> Path:
    """Give the path of an image back, or raise ImageFaultError as require_path raises DataError."""
    if not path.exists():
        raise ImageFaultError("missing image", _say_missing(path, name, layout))
    return path


def load_json(path: Path, *, name: str, layout: str) -> Any:
    """Read a JSON file of a source; a missing or broken one raises DataError with its name and line."""
    require_path(path, name=name, layout=layout)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: {path} is not valid JSON ({error}): download or unpack it again") from error


def describe_image(
    path: Path,
    *,
    name: str,
    layout: str,
    date: str | None = None,
    sensor: str | None = None,
    bands: tuple[str, ...] = (),
    gsd_m: float | None = None,
) -> Image:
    """Name an image by path with the size from its header; a missing or unreadable file raises ImageFaultError."""
    require_image(path, name=name, layout=layout)
    try:
        width, height = _read_size(path)
    except OSError as error:
        detail = f"{name}: {path} cannot be opened as an image ({error}): copy it again"
        raise ImageFaultError("corrupt image", detail) from error
    return Image(path=str(path), width=width, height=height, date=date, sensor=sensor, bands=bands, gsd_m=gsd_m)


def _say_missing(path: Path, name: str, layout: str) -> str:
    return f"{name}: {path} does not exist; expected {layout}"


def _read_size(path: Path) -> tuple[int, int]:
    """Read (width, height) from the header: with pillow, and with GDAL what pillow holds for a decompression bomb."""
    from PIL import Image as Picture

    try:
        with Picture.open(path) as picture:
            return picture.size
    except Picture.DecompressionBombError:
        from vlm.raster import Raster

        with Raster.open(path) as raster:
            return raster.width, raster.height
