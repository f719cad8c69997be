"""Caption, question, radar and building sources on the real files, with the counts that their READMEs state."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_engine.labels import join_masks
from data_engine.sources import karpathy, mstar, rsivqa, spacenet, sydney, ucm
from vlm.geometry.convert import to_hbb
from vlm.geometry.iou import iou
from vlm.geometry.shapes import HBB, Mask


@pytest.mark.parametrize(
    ("dataset", "folder", "images", "size"),
    [(ucm, "UCM_captions", 5, 256), (sydney, "Sydney_captions", 4, 500)],
)
def test_caption_folders(shared_data, dataset, folder, images, size):
    root = shared_data / "ucm_sydney_captions"
    described = ucm.UCM if dataset is ucm else sydney.SYDNEY
    captions = karpathy.load_captions(described, root, split="train")
    assert (len(captions), sum(map(len, captions.values()))) == (images, images * 5)
    samples = list(dataset.load(root, split="train"))
    assert len(samples) == sum(len(set(sentences)) for sentences in captions.values())
    assert {(sample.images[0].width, sample.images[0].height) for sample in samples} == {(size, size)}
    assert len(list(dataset.load(root / folder, split="train"))) == len(samples)


def test_rsivqa_themes(shared_data, tmp_path):
    """The questions come without images, so the folders that the source expects are linked together here."""
    home = shared_data / "ucm_sydney_captions"
    for name, file, folder in (("UCM", "ucm_vqa.txt", "UCM_captions"), ("Sydney", "sydney_vqa.txt", "Sydney_captions")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).symlink_to(home / "rsivqa" / file)
        (tmp_path / name / "images").symlink_to(home / folder / "imgs")
    missing: list[str] = []
    samples = list(rsivqa.load(tmp_path, split="all", reject=lambda reason, detail, where: missing.append(detail)))
    themes = Counter((sample.id.split("/")[2], sample.turns[0].answer.template) for sample in samples)
    assert themes == {("UCM", "farmland"): 5, ("Sydney", "residential"): 4}
    assert all(".tif does not exist" in sentence for sentence in missing)


@pytest.mark.parametrize(("split", "chips", "scenes"), [("train", {40}, 18), ("val", {20}, 4), ("test", set(), 8)])
def test_mstar_chips_and_scenes(shared_data, split, chips, scenes):
    samples = list(mstar.load(shared_data / "mstar", split=split))
    vehicles = Counter(sample.turns[0].answer.template for sample in samples if "/chip/" in sample.id)
    assert set(vehicles.values()) == chips
    assert set(vehicles) == (set(mstar.VEHICLES) if chips else set())
    assert len({sample.images[0].path for sample in samples if "/chip/" not in sample.id}) == scenes


def test_mstar_boxes_are_clipped(shared_data):
    root = shared_data / "mstar"
    scenes = [scene for split in mstar.SPLITS for scene in mstar.load_scenes(root, split=split)]
    boxes = [(scene.image, to_hbb(region.geometry)) for scene in scenes for region in scene.boxes]
    assert len(boxes) == 44
    assert all(box.x2 <= image.width and box.y2 <= image.height for image, box in boxes)
    assert sum(box.x2 == image.width or box.y2 == image.height for image, box in boxes) >= 10


@pytest.fixture
def atlanta(shared_data: Path, tmp_path: Path) -> Path:
    """Lay the chip and the labels out as SpaceNet 4 does."""
    home = shared_data / "spacenet_solaris"
    area = tmp_path / "Atlanta_nadir7_catid_1030010003D22F00"
    labels = tmp_path / "geojson" / "spacenet-buildings"
    (area / "PAN").mkdir(parents=True)
    labels.mkdir(parents=True)
    (area / "PAN" / "PAN_733601_3724689.tif").symlink_to(home / "sample_geotiff.tif")
    (labels / "spacenet-buildings_733601_3724689.geojson").symlink_to(home / "geotiff_labels.geojson")
    return tmp_path


def test_spacenet_buildings(shared_data, atlanta):
    samples = {sample.id: sample for sample in spacenet.load(atlanta, split="train")}
    key = "spacenet/train/Atlanta_nadir7_catid_1030010003D22F00/PAN_733601_3724689"
    assert samples[f"{key}/count/building"].turns[0].answer.template == "43"
    assert f"{key}/detect-box/building" not in samples
    image = samples[f"{key}/count/building"].images[0]
    assert (image.width, image.height, image.crs, image.bands) == (900, 900, "EPSG:32616", ("pan",))
    mask = samples[f"{key}/mask-all/building"].turns[0].answer.regions[0].geometry
    assert iou(mask, burnt(shared_data / "spacenet_solaris")) > 0.97


def burnt(home: Path) -> Mask:
    """Burn the footprints into the chip's grid with GDAL, which knows nothing of this project's code.

    The sample's own sample_fp_mask.tif shows other buildings, 151 of them: it is no truth for these labels.
    """
    import geopandas
    import rasterio
    from rasterio.features import rasterize

    with rasterio.open(home / "sample_geotiff.tif") as chip:
        shapes = geopandas.read_file(home / "geotiff_labels.geojson").to_crs(chip.crs).geometry
        return Mask(rasterize(shapes, chip.shape, transform=chip.transform) > 0, HBB(0, 0, chip.width, chip.height))


def test_spacenet_masks_cover_their_polygons(atlanta):
    chip = next(atlanta.rglob("PAN_*.tif"))
    scene = spacenet.load_scene((chip, next(atlanta.rglob("*.geojson"))))
    masked = spacenet.with_masks(scene)
    overlaps = [iou(a.geometry, b.geometry) for a, b in zip(scene.boxes, masked.boxes, strict=True)]
    assert len(overlaps) == 43
    assert np.mean(overlaps) > 0.95
    joined = join_masks([region.geometry for region in masked.boxes])
    assert joined is not None
    assert joined.area <= sum(region.geometry.area for region in masked.boxes)
