"""Windows of both sides never show the same ground, and every object is on one of them, cut as it is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.own.labels import OwnData, OwnImage, load_own
from data_engine.own.layers import LabelOptions
from data_engine.own.split import SHOWN, Split, check_apart, split_own
from tests.data_engine.made_sites import CRS, GSD_M, NORTH, SIDE, WEST, corners, squares, write_labels, write_raster
from vlm.errors import DataError
from vlm.geometry import to_hbb
from vlm.geometry.shapes import HBB, Window
from vlm.grid import Grid
from vlm.records import Region


def make_image(name: str, places: list[tuple[int, int]], *, side: int = 300, shift_px: int = 0) -> OwnImage:
    """Make an image `shift_px` pixels east of WEST, with squares."""
    grid = Grid(side, side, CRS, (GSD_M, 0.0, WEST + shift_px * GSD_M, 0.0, -GSD_M, NORTH))
    objects = tuple(Region(HBB(x, y, x + SIDE, y + SIDE), "tank") for x, y in places)
    return OwnImage(Path(f"{name}.tif"), grid, GSD_M, objects)


def make_data(*images: OwnImage) -> OwnData:
    count = sum(len(image.objects) for image in images)
    classes = tuple(sorted({region.phrase for image in images for region in image.objects}))
    return OwnData(images, classes, count, count, {}, ())  # type: ignore[arg-type]


def numbers(split: Split, *, held: bool) -> set[tuple[str, int]]:
    return {(cut.image.path.stem, at) for cut in (split.held if held else split.train) for at in cut.numbers}


@settings(max_examples=8)
@given(
    st.lists(st.tuples(st.integers(0, 288), st.integers(0, 288)), min_size=12, max_size=40, unique=True),
    st.integers(0, 99),
    st.sampled_from((90, 110, 140)),
    st.sampled_from((0.1, 0.25, 0.4)),
)
def test_no_ground_is_on_both_sides(places: list[tuple[int, int]], seed: int, window_px: int, holdout: float) -> None:
    data = make_data(make_image("a", places))
    try:
        split = split_own(data, window_px=window_px, holdout=holdout, seed=seed)
    except DataError:
        return
    assert check_apart(split) == 0
    train, held = numbers(split, held=False), numbers(split, held=True)
    assert len(train) == split.train_objects and len(held) == split.held_objects
    assert split.unseen == len(places) - len(train | held)
    for cut in (*split.train, *split.held):
        for at, region in zip(cut.numbers, cut.objects, strict=True):
            box, whole = to_hbb(region.geometry), to_hbb(cut.image.objects[at].geometry)
            assert 0 <= box.x1 < box.x2 <= cut.window.w and 0 <= box.y1 < box.y2 <= cut.window.h
            assert box.area >= SHOWN * whole.area - 1e-6
            assert whole.x1 - 1e-6 <= box.x1 + cut.window.x and box.x2 + cut.window.x <= whole.x2 + 1e-6
    assert split == split_own(data, window_px=window_px, holdout=holdout, seed=seed), "a seed decides"


def test_what_a_training_window_would_show_of_the_other_side_is_painted() -> None:
    data = make_data(make_image("a", corners(300)))
    split = split_own(data, window_px=100, holdout=0.25, seed=1)
    painted = [cut for cut in split.train if cut.painted]
    assert painted, "windows reach over the border"
    for cut in painted:
        for part in cut.painted:
            hidden = HBB(part.x, part.y, part.x + part.w, part.y + part.h)
            for region in cut.objects:
                box = to_hbb(region.geometry)
                assert min(box.x2, hidden.x2) <= max(box.x1, hidden.x1) + 1e-6 or (
                    min(box.y2, hidden.y2) <= max(box.y1, hidden.y1) + 1e-6
                )
    without = [cut for cut in split.train if not cut.painted]
    broken = Split(tuple(cut for cut in split.held), split.held, "blocks", 100, 0, 0, 0)
    assert without and check_apart(broken) > 0, "the check sees what it is for"


def test_share_and_classes_are_met() -> None:
    image = make_image("a", corners(300))
    odd = tuple(Region(r.geometry, "pond" if at % 9 == 0 else "tank") for at, r in enumerate(image.objects))
    data = make_data(OwnImage(image.path, image.grid, GSD_M, odd))
    for seed in range(3):
        split = split_own(data, window_px=100, holdout=0.25, seed=seed)
        assert 0.1 <= split.held_objects / len(odd) <= 0.45
        for side in (split.train, split.held):
            assert {region.phrase for cut in side for region in cut.objects} == {"pond", "tank"}


def test_many_places_are_held_out_whole_and_dates_of_a_place_together() -> None:
    places = corners(96)
    images = [
        make_image(f"{name}-{date}", places, side=96, shift_px=1000 * name) for name in range(12) for date in "ab"
    ]
    split = split_own(make_data(*images), window_px=96, holdout=0.2, seed=0)
    assert split.by == "images" and check_apart(split) == 0
    held = {cut.image.path.stem.split("-")[0] for cut in split.held}
    assert held and held.isdisjoint({cut.image.path.stem.split("-")[0] for cut in split.train})


def test_two_dates_split_by_blocks_share_no_ground(tmp_path: Path) -> None:
    places = corners(192)
    for date in "ab":
        write_raster(tmp_path / f"{date}.tif", places, side=192)
    data = load_own(tmp_path, write_labels(tmp_path / "labels.gpkg", squares(places)), LabelOptions())
    assert len(data.images) == 2 and data.features == data.used == len(places)
    split = split_own(data, window_px=64, holdout=0.2, seed=0)
    assert split.by == "blocks" and check_apart(split) == 0
    assert split.held and split.train


def test_windows_stay_near_the_labels() -> None:
    data = make_data(make_image("a", [(x, y) for x, y in corners(1000) if x < 200 and y < 200], side=1000))
    split = split_own(data, window_px=64, holdout=0.2, seed=0)
    reach = [cut.window.x + cut.window.w for cut in split.train]
    assert max(reach) <= 300, "beyond the labels nobody may have looked"


@pytest.mark.parametrize(
    ("places", "window_px", "words"),
    [
        ([(x, 10) for x in range(0, 70, 10)], 64, "7 objects lie in the images: expected at least 8"),
        ([(10 + x, 10 + y) for x in range(4) for y in range(4)], 64, "lie in one block"),
        (corners(300), 300, "lie in one block"),
    ],
)
def test_too_little_to_split_is_a_sentence(places: list[tuple[int, int]], window_px: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        split_own(make_data(make_image("a", places)), window_px=window_px, holdout=0.2, seed=0)


def test_a_window_is_what_it_says() -> None:
    split = split_own(make_data(make_image("a", corners(300))), window_px=100, holdout=0.2, seed=0)
    assert {cut.window.w for cut in split.train} <= {100, 140}
    assert all(cut.window.w == cut.window.h == 100 for cut in split.held)
    assert all(Window(0, 0, 300, 300).w >= cut.window.x + cut.window.w for cut in split.train)
