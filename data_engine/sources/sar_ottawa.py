"""Ottawa: one Radarsat pair of 1997, 290 x 350, with the ground truth of the flood's change.

Layout: ottawa_1.bmp (before), ottawa_2.bmp (after), ottawa_gt.bmp, all 8-bit grey stored as RGB; the truth is 0 / 255.
Licence: none stated; the standard SAR change benchmark, research use.
Citation: Gao et al., Automatic change detection in synthetic aperture radar images based on PCANet, GRSL 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_engine.changes import ChangeScene, all_samples
from data_engine.labels import load_mask
from data_engine.sources.source import Source, describe_image, require_path, require_split
from vlm.records import Sample

NAME: Final = "sar_ottawa"
SPLITS: Final = ("all",)
LICENCE: Final = "none stated; research use"
LAYOUT: Final = "ottawa_1.bmp, ottawa_2.bmp and ottawa_gt.bmp; they come from https://github.com/summitgao/SAR_CD_DDNet"
CROP_PX: Final = 128
SENTENCE: Final = "the extent of the water has changed"


def load(root: Path, *, split: str, seed: int = 0) -> Iterator[Sample]:
    """Yield change samples of the pair, of its swapped dates, of each date twice, and of its crops."""
    return all_samples(load_scenes(root, split=split), crop_px=CROP_PX, seed=seed)


def load_scenes(root: Path, *, split: str) -> Iterator[ChangeScene]:
    """Yield the pair with its change mask."""
    require_split(NAME, split, SPLITS)
    before, after = (
        describe_image(Path(root) / f"ottawa_{number}.bmp", name=NAME, layout=LAYOUT, date=date, sensor="Radarsat SAR")
        for number, date in ((1, "1997-05"), (2, "1997-08"))
    )
    changed = load_mask(require_path(Path(root) / "ottawa_gt.bmp", name=NAME, layout=LAYOUT))
    yield ChangeScene(f"{NAME}/{split}/ottawa", before, after, changed, SENTENCE, SENTENCE, NAME, split, LICENCE)


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Gao et al., GRSL 2016"
)
