"""Captioned images as the encoder's towers see them: what is drawn at a step depends on the seed and its number alone.

A run that stopped goes on with the same data, on any number of processes and loader workers. Captions of one image may
be in several languages (data_engine/languages.py); the boxes of detections make captions, too (RemoteCLIP: Liu et al.,
2024), and say where what lies in the image (train/regions.py).

Legend: B images of a process's part of a step, K crops, R regions, P tile side in pixels.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch.utils.data import Dataset

from data_engine.languages import ENGLISH, is_language, read_language
from data_engine.recipes.box_caption import box_caption
from data_engine.store.rows import Rows
from data_engine.store.webdataset import write_caption
from train.mixture import count_places, group_samples
from train.pictures import is_spatial, jitter, load_rgb, random_move, random_window
from vlm.errors import DataError, InputError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import Window
from vlm.processor import ArrayImage
from vlm.records import Region, Sample

OTHER: Final = -2
OBJECTS: Final = -1
"""What a sample is where it is no caption: nothing of use, or boxes with their names."""
CROP_PART: Final = (0.3, 0.7)
"""Side of the crops that are distilled, as a part of the image's shorter side."""
AROUND: Final = 1.2
"""Side of the square that a region is cut out by, as a multiple of its longer side."""
LEAST_REGION: Final = 4
"""Shorter side of the smallest region that is learned from, in pixels."""
Window4 = tuple[int, int, int, int]
"""x, y, width and height of a part of a picture, in pixels."""


@dataclass(frozen=True)
class Frame:
    """Say how a tower takes pictures: one square tile of `tile_px`, the rest of it in the mean colour."""

    tile_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def tile(self, rgb: np.ndarray) -> np.ndarray:
        """Give the tile (P, P, 3) of a picture (H, W, 3): the whole picture, in its top left corner."""
        side = max(rgb.shape[:2])
        found = ArrayImage(rgb).read(Window(0, 0, side, side), (self.tile_px, self.tile_px))
        mean = np.round(np.asarray(self.mean) * 255).astype(np.uint8)
        return np.where(found.valid[..., None], found.rgb, mean)


@dataclass(frozen=True)
class Wanted:
    """Say what is drawn beside image and caption."""

    languages: tuple[tuple[str, float], ...] = ()
    """Codes and weights; none draws every caption alike."""
    box_captions: bool = False
    regions: int = 0
    """Most named regions of an image."""
    crops: int = 0
    """Crops of an image to be distilled."""
    smallest: float = 0.6
    """Least part of an image's sides that is seen."""


@dataclass(frozen=True)
class Drawn:
    """Hold one picture (H, W, 3), its caption, and the regions in it, in its pixels."""

    rgb: np.ndarray
    caption: str
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Patches:
    """Hold parts of the images of a batch: their tiles (K, P, P, 3), whose they are, and where in the image's tile.

    Corners x1, y1, x2, y2 are parts of the tile's side.
    """

    tiles: torch.Tensor
    image: torch.Tensor
    boxes: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Hold a process's part of a step: tiles (B, P, P, 3) uint8, captions, crops, regions and the regions' names."""

    tiles: torch.Tensor
    captions: tuple[str, ...]
    crops: Patches
    regions: Patches
    names: tuple[str, ...]


def parse_languages(texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Read "en:0.7", "pt:0.3" as codes and weights; InputError for what is none."""
    found = []
    for text in texts:
        code, _, weight = text.partition(":")
        try:
            number = float(weight or 1)
        except ValueError:
            number = 0.0
        if not is_language(code) or not 0 < number < float("inf"):
            raise InputError(f"languages has {text!r}: expected a code and a weight above 0, such as en:0.7,pt:0.3")
        found.append((code, number))
    return tuple(found)


class Album:
    """Draw captioned pictures from samples, in memory or in a store (data_engine/store/rows.py), grouped by image.

    Raises DataError where none has a caption of the wanted languages.
    """

    def __init__(self, samples: Sequence[Sample], wanted: Wanted, seed: int = 0) -> None:
        self.samples, self.wanted, self.seed = samples, wanted, seed
        tasks, ids = _facts(samples)
        self.languages = sorted({read_language(one) for one, task in zip(ids, tasks, strict=True) if task == "caption"})
        if wanted.languages:
            self.languages = [code for code, _ in wanted.languages]
        facts = zip(ids, tasks, count_places(samples).tolist(), strict=True)
        self._kinds = np.array([self._kind(*one) for one in facts], dtype=np.int16)
        self._groups = [group for group in group_samples(samples) if self._choices(group)]
        if not self._groups:
            those = f" in {', '.join(self.languages)}" if wanted.languages else ""
            there = ", ".join(sorted({read_language(one) for one in ids})) or "nothing"
            raise DataError(f"no image has a caption{those}: the samples hold {there}; name another store or languages")

    def __len__(self) -> int:
        return len(self._groups)

    def draw(self, rng: random.Random) -> Drawn:
        """Draw an image, turned where its caption allows, one of its captions, and its named regions."""
        group = rng.choice(self._groups)
        objects = [int(row) for row in group if self._kinds[row] == OBJECTS]
        sample, caption = self._caption(group, rng)
        told = [self.samples[row] for row in objects] if self.wanted.regions else []
        regions = _named_regions(told)
        rgb = load_rgb(sample.images[0])
        if not is_spatial(sample.turns):
            move = random_move(rng)
            height, width = rgb.shape[:2]
            regions = tuple(move.region(region, width, height) for region in regions)
            rgb = move.pixels(rgb)
        return Drawn(rgb, caption, regions)

    def _caption(self, group: np.ndarray, rng: random.Random) -> tuple[Sample, str]:
        choices = self._choices(group)
        kinds = sorted({kind for kind, _ in choices})
        if self.wanted.languages:
            weights = [self.wanted.languages[kind][1] for kind in kinds]
            kind = rng.choices(kinds, weights)[0]
            choices = [one for one in choices if one[0] == kind]
        _, row = rng.choice(choices)
        sample = self.samples[row]
        if self._kinds[row] == OBJECTS:
            made = [one for one in box_caption(sample, self.seed) if one.task == "caption"]
            if not made:
                return sample, ", ".join(dict.fromkeys(region.phrase for region in sample.turns[0].answer.regions))
            sample = rng.choice(made)
        return sample, write_caption(sample.turns[0].answer)

    def _choices(self, group: np.ndarray) -> list[tuple[int, int]]:
        """Give (language's number, sample's number) of what captions of a group there are to draw."""
        found = [(int(self._kinds[row]), int(row)) for row in group if self._kinds[row] >= 0]
        if self.wanted.box_captions and ENGLISH in (self.languages or [ENGLISH]):
            english = self.languages.index(ENGLISH) if self.languages else 0
            found += [(english, int(row)) for row in group if self._kinds[row] == OBJECTS]
        return found

    def _kind(self, sample_id: str, task: str, places: int) -> int:
        if task == "detect":
            return OBJECTS if places else OTHER
        code = read_language(sample_id)
        return self.languages.index(code) if task == "caption" and code in self.languages else OTHER


@dataclass
class Steps(Dataset[Batch]):
    """Give this process's part of any step of a run, by the step's number."""

    albums: Sequence[tuple[Album, float]]
    """Albums, and their weights in the mixture."""
    frame: Frame
    batch: int
    """Images of a step, over all processes."""
    seed: int
    rank: int = 0
    ranks: int = 1
    cut_regions: bool = True
    """Whether regions are cut out of the image, beside saying where they lie."""
    wanted: Wanted = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = self.albums[0][0].wanted

    def __getitem__(self, step: int) -> Batch:
        """Draw the images of a step that are this process's."""
        own = self.batch // self.ranks
        first = step * self.batch + self.rank * own
        return self._join([self._draw(number) for number in range(first, first + own)])

    def _draw(self, number: int) -> _Item:
        """Draw image `number` of the run."""
        rng = random.Random(f"{self.seed}/{number}")
        drawn = rng.choices(self.albums, [weight for _, weight in self.albums])[0][0].draw(rng)
        x, y, width, height = random_window(drawn.rgb, rng, self.wanted.smallest)
        rgb, side = drawn.rgb[y : y + height, x : x + width], max(width, height)
        crops = [_random_square(width, height, rng) for _ in range(self.wanted.crops)]
        seen = [(one.phrase, box) for one in drawn.regions if (box := _cut_box(one, x, y, width, height))]
        seen = rng.sample(seen, min(len(seen), self.wanted.regions))
        squares = [_square_around(box, width, height) for _, box in seen] if self.cut_regions else []
        tiles = [self.frame.tile(part) for part in (rgb, *(_cut(rgb, one) for one in (*crops, *squares)))]
        tiles = list(jitter(np.stack(tiles), rng))
        corners = [[left / side, top / side, (left + w) / side, (top + h) / side] for left, top, w, h in crops]
        return _Item(
            tiles[0],
            drawn.caption,
            tiles[1 : 1 + len(crops)],
            corners,
            tiles[1 + len(crops) :],
            [[value / side for value in box] for _, box in seen],
            [phrase for phrase, _ in seen],
        )

    def _join(self, items: Sequence[_Item]) -> Batch:
        return Batch(
            torch.from_numpy(np.stack([one.tile for one in items])),
            tuple(one.caption for one in items),
            self._patches([one.crops for one in items], [one.corners for one in items]),
            self._patches([one.regions for one in items], [one.boxes for one in items]),
            tuple(name for one in items for name in one.names),
        )

    def _patches(self, tiles: Sequence[Sequence[np.ndarray]], boxes: Sequence[Sequence[Sequence[float]]]) -> Patches:
        shown = [tile for found in tiles for tile in found]
        side = self.frame.tile_px
        stacked = np.stack(shown) if shown else np.zeros((0, side, side, 3), np.uint8)
        image = [number for number, found in enumerate(boxes) for _ in found]
        corners = torch.tensor([box for found in boxes for box in found], dtype=torch.float32).reshape(-1, 4)
        return Patches(torch.from_numpy(stacked), torch.tensor(image, dtype=torch.long), corners)


@dataclass(frozen=True)
class _Item:
    """Hold one image of a batch: its tile, caption, crops' tiles and corners, regions' tiles, boxes and names."""

    tile: np.ndarray
    caption: str
    crops: Sequence[np.ndarray]
    corners: Sequence[Sequence[float]]
    regions: Sequence[np.ndarray]
    boxes: Sequence[Sequence[float]]
    names: Sequence[str]


def _facts(samples: Sequence[Sample]) -> tuple[list[str], list[str]]:
    """Give the tasks and ids of samples; a store knows them without its images."""
    if isinstance(samples, Rows):
        return samples.column("task"), samples.column("id")
    return [sample.task for sample in samples], [sample.id for sample in samples]


def _named_regions(detections: Sequence[Sample]) -> tuple[Region, ...]:
    """Give the named objects of detections, each once: a second turn holds the same as oriented boxes."""
    found: dict[tuple[str, float, float], Region] = {}
    for region in (region for one in detections for region in one.turns[0].answer.regions if region.phrase):
        box = to_hbb(region.geometry)
        found.setdefault((region.phrase, round(box.x1 + box.x2), round(box.y1 + box.y2)), region)
    return tuple(found.values())


def _cut(rgb: np.ndarray, part: Window4) -> np.ndarray:
    x, y, width, height = part
    return rgb[y : y + height, x : x + width]


def _random_square(width: int, height: int, rng: random.Random) -> Window4:
    side = max(2, round(min(width, height) * rng.uniform(*CROP_PART)))
    return rng.randint(0, width - side), rng.randint(0, height - side), side, side


def _cut_box(region: Region, x: int, y: int, width: int, height: int) -> tuple[float, float, float, float] | None:
    """Give a region's corners in a part of its picture; None where less than half of it is in there, or it is tiny."""
    box = to_hbb(region.geometry)
    x1, x2 = (min(max(value - x, 0.0), width) for value in (box.x1, box.x2))
    y1, y2 = (min(max(value - y, 0.0), height) for value in (box.y1, box.y2))
    inside = min(x2 - x1, y2 - y1) >= LEAST_REGION and (x2 - x1) * (y2 - y1) >= box.area / 2
    return (x1, y1, x2, y2) if inside else None


def _square_around(box: tuple[float, float, float, float], width: int, height: int) -> Window4:
    """Give the square around a box, as far as it lies in the picture."""
    half = AROUND * max(box[2] - box[0], box[3] - box[1]) / 2
    middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = max(0, int(middle_x - half)), max(0, int(middle_y - half))
    right, bottom = min(width, round(middle_x + half) + 1), min(height, round(middle_y + half) + 1)
    return left, top, right - left, bottom - top
