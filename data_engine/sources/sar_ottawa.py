"""Ottawa: one Radarsat pair of 1997, 290 x 350, with the ground truth of the flood's change.

Layout: ottawa_1.bmp (before), ottawa_2.bmp (after), ottawa_gt.bmp, all 8-bit grey stored as RGB; the truth is 0 / 255.
Licence: none stated; the standard SAR change benchmark, research use.
Citation: Gao et al., Automatic change detection in synthetic aperture radar images based on PCANet, GRSL 2016.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_engine.changes import ChangeScene
from data_engine.labels import load_mask
from data_engine.sources.change_pairs import ChangeSet
from data_engine.sources.source import Source, describe_image, require_path, require_split

NAME: Final = "sar_ottawa"
SPLITS: Final = ("all",)
LICENCE: Final = "none stated; research use"
LAYOUT: Final = "ottawa_1.bmp, ottawa_2.bmp and ottawa_gt.bmp; they come from https://github.com/summitgao/SAR_CD_DDNet"
CROP_PX: Final = 128
SENTENCE: Final = "the extent of the water has changed"


def _find_folder(root: Path, split: str) -> list[Path]:
    """Give the folder of the one pair."""
    require_split(NAME, split, SPLITS)
    return [require_path(root, name=NAME, layout=LAYOUT)]


def _load_scene(folder: Path, split: str) -> ChangeScene:
    before, after = (
        describe_image(folder / f"ottawa_{number}.bmp", name=NAME, layout=LAYOUT, date=date, sensor="Radarsat SAR")
        for number, date in ((1, "1997-05"), (2, "1997-08"))
    )
    changed = load_mask(require_path(folder / "ottawa_gt.bmp", name=NAME, layout=LAYOUT))
    return ChangeScene(f"{NAME}/{split}/ottawa", before, after, changed, SENTENCE, SENTENCE, NAME, split, LICENCE)


READER: Final = ChangeSet(NAME, _find_folder, _load_scene, CROP_PX)
load, load_scenes = READER.load, READER.load_scenes
SOURCE: Final = Source(NAME, load, SPLITS, LAYOUT, LICENCE, citation="Gao et al., GRSL 2016", load_scenes=load_scenes)
