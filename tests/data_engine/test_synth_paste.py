"""Copy-paste of instances: what shows is what is labelled, to the pixel, whatever lies over what."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.__main__ import main
from data_engine.store.shards import read_samples
from data_engine.synth.paste import LEAST_SHOWN, MARGIN_PX, Instance, cut_instances, paste_instances
from data_engine.synth.paste_corpus import (
    PasteCorpus,
    cut_window,
    load_backgrounds,
    load_bank,
    pasted_scene,
    read_scenes,
)
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Mask, Polygon
from vlm.records import Region

GROUND = 90


def instance(colour: int, rows: int, cols: int, label: str = "ship") -> Instance:
    """Make an ellipse of one colour on the colour of the ground."""
    mask = np.zeros((rows + 2 * MARGIN_PX, cols + 2 * MARGIN_PX), np.uint8)
    middle = (mask.shape[1] // 2, mask.shape[0] // 2)
    cv2.ellipse(mask, middle, (cols // 2, rows // 2), 0, 0, 360, 1, -1)
    rgb = np.full((*mask.shape, 3), GROUND, np.uint8)
    rgb[mask > 0] = colour
    return Instance(rgb, mask > 0, label)


def full(region: Region, size: int) -> np.ndarray:
    assert isinstance(region.geometry, Mask)
    bits, box = np.zeros((size, size), bool), region.geometry.box
    bits[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = region.geometry.bits
    return bits


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([48, 80, 120]))
def test_masks_are_what_shows(seed: int, count: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    instances = [instance(150 + 8 * at, *rng.integers(8, 24, 2).tolist()) for at in range(count)]
    rgb, regions = paste_instances(np.full((size, size, 3), GROUND, np.uint8), (), instances, rng)
    masks = [full(region, size) for region in regions]
    assert sum(mask.astype(int) for mask in masks).max(initial=0) <= 1 if masks else True
    for mask in masks:
        inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
        if inner.any():
            assert np.ptp(rgb[inner].astype(int)) <= 3
            assert rgb[inner].min() > GROUND + 30
    outside = ~np.logical_or.reduce([np.zeros((size, size), bool), *masks])
    far = cv2.erode(outside.astype(np.uint8), np.ones((7, 7), np.uint8), borderValue=1) > 0
    assert (np.abs(rgb[far].astype(int) - GROUND) <= 1).all()


def test_known_objects_are_cut_to_what_still_shows_and_boxes_are_left_alone() -> None:
    known_mask = Region(Mask(np.ones((30, 60), bool), HBB(10, 10, 70, 40)), "plane")
    known_box = Region(HBB(80, 80, 118, 118), "car")
    hidden = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = paste_instances(np.full((120, 120, 3), GROUND, np.uint8), (known_mask, known_box),
                                [instance(200, 18, 30) for _ in range(4)], rng)  # fmt: skip
        regions = found[1]
        assert known_box in regions
        plane = next(region for region in regions if region.phrase == "plane")
        shown = full(plane, 120).sum()
        assert LEAST_SHOWN * 1800 <= shown <= 1800
        hidden += shown < 1800
        for region in regions:
            if isinstance(region.geometry, Mask):
                assert not full(region, 120)[80:118, 80:118].any()
    assert hidden


def test_sizes_follow_the_pixel_sizes() -> None:
    cut = instance(200, 30, 40)
    cut = Instance(cut.rgb, cut.mask, cut.label, 0.5)
    areas = []
    for gsd_m in (0.5, 1.0):
        _, regions = paste_instances(np.full((120, 120, 3), GROUND, np.uint8), (), [cut], np.random.default_rng(3),
                                     gsd_m=gsd_m)  # fmt: skip
        areas.append(full(regions[0], 120).sum())
    assert 3.4 < areas[0] / areas[1] < 4.6


def test_instances_at_the_border_or_tiny_or_without_outline_are_not_cut() -> None:
    rgb = np.zeros((80, 80, 3), np.uint8)
    square = Polygon(((20.0, 20.0), (50.0, 20.0), (50.0, 45.0), (20.0, 45.0)))
    edge = Polygon(((0.0, 20.0), (30.0, 20.0), (30.0, 45.0), (0.0, 45.0)))
    tiny = Polygon(((60.0, 60.0), (63.0, 60.0), (63.0, 63.0), (60.0, 63.0)))
    shapes = (square, edge, tiny, HBB(20, 20, 50, 45))
    (found,) = cut_instances(rgb, [Region(shape, "ship") for shape in shapes])
    assert found.mask.sum() == 30 * 25
    assert found.rgb.shape == (25 + 2 * MARGIN_PX, 30 + 2 * MARGIN_PX, 3)


def facts(folder: Path) -> Path:
    with pytest.raises(SystemExit):
        main(["--quiet", "synth", "--scenes", "6", "--pairs", "0", "--size", "160", "--gsd", "0.5", "--facts",
              "--workers", "1", str(folder)])  # fmt: skip
    return folder


def test_a_store_of_facts_is_instances_and_background_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, out = facts(tmp_path / "facts"), tmp_path / "pasted"
    with pytest.raises(SystemExit) as done:
        main(["--quiet", "synth", "--scenes", "6", "--size", "128", "--instances", str(store), "--workers", "1",
              str(out)])  # fmt: skip
    assert done.value.code in (0, None)
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    samples = list(read_samples(out))
    assert line["kept"] == len(samples) > 6
    assert {"detect", "segment"} <= {sample.task for sample in samples}
    assert all(sample.id.startswith("pasted/0/") for sample in samples)
    with pytest.raises(DataError, match="holds no annotated objects"):
        list(read_scenes(str(empty(tmp_path))))


def empty(folder: Path) -> Path:
    """Write a store of questions that say nothing about objects."""
    with pytest.raises(SystemExit):
        main(["--quiet", "synth", "--scenes", "0", "--pairs", "1", "--size", "64", "--workers", "1",
              str(folder / "pairs")])  # fmt: skip
    return folder / "pairs"


def test_a_window_keeps_what_shows_and_doubts_what_it_cuts(tmp_path: Path) -> None:
    scene = next(read_scenes(str(facts(tmp_path / "facts"))))
    pixels = np.zeros((160, 160, 3), np.uint8)
    for seed in range(10):
        cut, kept, doubtful = cut_window(pixels, scene, np.random.default_rng(seed), 96)
        assert cut.shape == (96, 96, 3)
        for region in kept:
            box = region.geometry.box if isinstance(region.geometry, Mask) else region.geometry
            assert isinstance(box, HBB)
            assert 0 <= box.x1 < box.x2 <= 96
            assert 0 <= box.y1 < box.y2 <= 96
        assert doubtful <= {region.phrase for region in scene.boxes}


def test_real_instances_on_real_backgrounds(shared_data: Path) -> None:
    root = shared_data / "isaid"
    if not (root / "iSAID").is_dir():
        pytest.skip(f"needs the sample of iSAID in {root}")
    entry = f"isaid:{root}"
    bank, scenes = load_bank(entry), load_backgrounds(entry)
    assert len(bank) > 100
    made = [pasted_scene(PasteCorpus(3, entry, entry, 320), number, bank, scenes) for number in range(3)]
    for scene in made:
        assert scene is not None
        assert scene.licence == scenes[0].licence
        masks = [full(region, 320) for region in scene.boxes]
        assert sum(mask.astype(int) for mask in masks).max() <= 2
