"""Label files and the images that belong to them: same name, another folder and suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data_engine.formats.format import Reading
from data_engine.formats.pictures import FOLDER
from data_engine.store.images import ImageFaultError
from vlm.errors import DataError, NadirError
from vlm.records import Answer, Region
from vlm.vector_rows import image_names

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2")


@dataclass(frozen=True, slots=True)
class LabelFolder:
    """Hold a folder of label files and the folders in which their images may lie."""

    labels: Path
    files: tuple[Path, ...]
    pictures: tuple[Path, ...]

    def key(self, file: Path) -> str:
        """Name a label file by its path in the folder, without suffix."""
        return file.relative_to(self.labels).with_suffix("").as_posix()

    def picture(self, file: Path, *, name: str | None = None) -> Path:
        """Find the image of a label file, by the name that it states or by its own, or raise ImageFaultError."""
        key = self.key(file)
        for folder in self.pictures:
            stated = [(folder / key).with_name(name)] if name else []
            own = [folder / f"{key}{form}" for suffix in SUFFIXES for form in (suffix, suffix.upper())]
            found = next((path for path in (*stated, *own) if path.is_file()), None)
            if found is not None:
                return found
        looked = " or ".join(dict.fromkeys(str(folder) for folder in self.pictures))
        detail = f"{file} has no image called {key} in {looked}: name the folder of the images"
        raise ImageFaultError("missing image", detail)


def list_labels(
    path: Path,
    reading: Reading,
    *,
    suffix: str,
    inner: tuple[str, ...],
    pictures: tuple[str, ...],
    skip: tuple[str, ...] = (),
) -> LabelFolder:
    """List the label files of a folder, or a single one; `inner` are the names that the folder has in a data set.

    The images lie in Reading.images, or else in or beside the folder in one of `pictures`, or in the folder itself.
    Raises DataError when there are no label files.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: expected a folder of {suffix} files, one an image")
    if path.is_file() and path.suffix != suffix:
        path = path.parent
    labels = path.parent if path.is_file() else next((path / n for n in inner if (path / n).is_dir()), path)
    found = [path] if path.is_file() else sorted(labels.rglob(f"*{suffix}"))
    files = [file for file in found if file.name not in skip and not file.name.endswith(".classes.txt")]
    if not files:
        raise DataError(f"{labels} holds no {suffix} files: expected one for each image")
    if reading.images is not None:
        return LabelFolder(labels, tuple(files), (reading.images, *(reading.images / name for name in pictures)))
    around = (labels.parent / name for name in pictures)
    return LabelFolder(labels, tuple(files), (*around, *(labels / name for name in pictures), labels))


def label_path(image: str, suffix: str) -> Path:
    """Name the label file of an image: the same folders, without images/ in front; an absolute path gives its name."""
    path = Path(image).with_suffix(suffix)
    if path.is_absolute():
        return Path(path.name)
    return path.relative_to(FOLDER) if path.parts[0] == FOLDER else path


def mirror_folders(folder: Path, answers: Sequence[Answer], *, suffix: str) -> None:
    """Move label files that lie side by side in `folder` into the folders in which their images lie.

    Files whose images have absolute paths, or would land on each other, stay where they are.
    """
    targets = [label_path(str(answer.images[0].path), suffix) for answer in answers]
    for names, answer, target in zip(image_names(answers), answers, targets, strict=True):
        flat = folder / f"{'-'.join(Path(names[0]).with_suffix('').parts)}{suffix}"
        if not Path(str(answer.images[0].path)).is_absolute() and targets.count(target) == 1 and flat.is_file():
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            flat.replace(folder / target)


def scan_classes(folder: LabelFolder, read: Callable[[Path], Iterable[Region]]) -> tuple[str, ...]:
    """List the classes of all label files by name; a file that cannot be read is reported when its turn comes."""
    found: set[str] = set()
    for file in folder.files:
        with suppress(NadirError):
            found.update(region.phrase for region in read(file))
    return tuple(sorted(found))


def read_label_file(path: Path) -> str:
    """Read a label file as UTF-8; DataError when it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({error}): copy it again") from error
