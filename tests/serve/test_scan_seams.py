"""Objects on every seam and corner come out once and whole: boxes, oriented boxes and masks, any overlap and shape."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve.scan import ScanOptions
from serve.scan.findings import Finding
from serve.scan.journal import Journal
from serve.scan.merge import merge_windows
from serve.scan.plan import Target, count_windows, offset
from serve.scan.run import run_scan
from serve.scan.seams import are_one, piece_of, resolve, slack_px
from tests.serve.made_areas import BrightAsker, Kind, square, turned, write_area
from vlm.geometry import HBB, OBB, iou, to_shapely
from vlm.geometry.shapes import Geometry, Mask, Window
from vlm.grid import Grid
from vlm.records import Region

KINDS: tuple[Kind, ...] = ("box", "obb", "mask")


def scanned(
    shapes: list[Geometry], size: tuple[int, int], *, kind: Kind = "box", degrees: float = 0.0, **options: Any
) -> Any:
    """Write an area, scan it with the stand-in and give what came out, in pixels."""
    with TemporaryDirectory() as folder:
        profile = turned(degrees)
        area = write_area(Path(folder) / "area.tif", size, shapes, **profile)
        out = Path(folder) / "found.parquet"
        done = run_scan(
            area, "Where are the squares?", out=out, asker=BrightAsker(kind), options=ScanOptions(**options)
        )
        assert done.ledger["answered"] + done.ledger["empty"] == done.ledger["planned"] and not done.ledger["failed"]
        table = gpd.read_parquet(out)
    back = ~profile["transform"]
    matrix = [back.a, back.b, back.d, back.e, back.c, back.f]
    return list(table.geometry.affine_transform(matrix))


def seam_places(length: int, side: int, overlap: int) -> list[float]:
    """Give where windows begin and end inside a length, and the middle of what two of them share."""
    count = count_windows(length, side, overlap)
    starts = [offset(index, length, side, count) for index in range(count)]
    edges = [*starts[1:], *(start + side for start in starts[:-1])]
    middles = [(start + side + following) / 2 for start, following in pairwise(starts)]
    return sorted({*map(float, edges), *middles})


def require_once(found: list[Any], shapes: list[Geometry], *, least: float) -> None:
    """Require that each shape was found once, and nothing else."""
    assert len(found) == len(shapes), f"{len(found)} found for {len(shapes)}"
    known = [to_shapely(shape) for shape in shapes]
    overlaps = np.array([[shapely.intersection(f, s).area / shapely.union(f, s).area for f in found] for s in known])
    assert (overlaps.max(axis=1) >= least).all(), overlaps.max(axis=1)
    assert len(set(overlaps.argmax(axis=1))) == len(shapes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "overlap"), [((230, 330), 0), ((330, 230), 0.25)])
def test_squares_on_every_seam_and_corner_come_out_once(kind: Kind, size: tuple[int, int], overlap: float) -> None:
    options = ScanOptions(window_px=96, overlap=overlap)
    xs, ys = ([*seam_places(length, 96, options.overlap_px), 8.0, length / 2, length - 8.0] for length in size)
    shapes: list[Geometry] = []
    for y in ys:
        for x in xs:
            new = square(x, y, 14)
            near = to_shapely(new).buffer(8)
            if not any(near.intersects(to_shapely(shape)) for shape in shapes):
                shapes.append(new)
    assert len(shapes) >= 16
    require_once(scanned(shapes, size, kind=kind, window_px=96, overlap=overlap), shapes, least=0.999)


@st.composite
def areas(draw: st.DrawFn) -> tuple[tuple[int, int], float, int, list[HBB]]:
    """Draw a raster, an overlap, a window and squares of any size that keep apart, most of them on seams."""
    size = draw(st.integers(60, 360)), draw(st.integers(60, 360))
    side = draw(st.integers(48, 120))
    overlap = draw(st.sampled_from([0, 0.1, 0.25, 0.5, 0.75]))
    shared = ScanOptions(window_px=side, overlap=overlap).overlap_px
    shapes: list[HBB] = []
    for _ in range(draw(st.integers(1, 8))):
        places = [
            draw(st.sampled_from([float(draw(st.integers(4, length - 4))), *seam_places(length, side, shared)]))
            for length in size
        ]
        w, h = draw(st.integers(7, 160)), draw(st.integers(7, 160))
        x, y = (int(place) for place in places)
        box = HBB(max(0, x - w // 2), max(0, y - h // 2), min(size[0], x + w - w // 2), min(size[1], y + h - h // 2))
        near = HBB(box.x1 - 12, box.y1 - 12, box.x2 + 12, box.y2 + 12)
        if min(box.w, box.h) >= 7 and not any(iou(near, other) for other in shapes):
            shapes.append(box)
    return size, overlap, side, shapes


@settings(max_examples=12)
@given(areas(), st.sampled_from(KINDS), st.sampled_from([0.0, 17.0, 90.0, -135.0]))
@example(((200, 100), 0, 60, [HBB(10, 10, 190, 90)]), "mask", 0.0)
@example(((300, 300), 0.25, 64, [HBB(0, 0, 300, 20), HBB(0, 60, 20, 300), HBB(60, 60, 300, 80)]), "box", 30.0)
def test_boxes_of_any_size_anywhere_come_out_once_and_whole(
    area: tuple[tuple[int, int], float, int, list[HBB]], kind: Kind, degrees: float
) -> None:
    size, overlap, side, shapes = area
    if not shapes:
        return
    found = scanned([*shapes], size, kind=kind, degrees=degrees, window_px=side, overlap=overlap)
    require_once(found, [*shapes], least=0.98)


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5])
@pytest.mark.parametrize("kind", ["obb", "mask"])
def test_turned_rectangles_across_seams_are_joined(kind: Kind, overlap: float) -> None:
    shapes: list[Geometry] = [
        OBB(128, 60, 70, 18, 35), OBB(128, 190, 90, 14, -60), OBB(256, 128, 60, 20, 45), OBB(330, 256, 120, 16, 10),
        OBB(60, 256, 40, 12, 80),
    ]  # fmt: skip
    found = scanned(shapes, (400, 320), kind=kind, window_px=128, overlap=overlap)
    require_once(found, shapes, least=0.7 if kind == "obb" else 0.8)


def test_neighbours_that_touch_a_seam_stay_two() -> None:
    shapes: list[Geometry] = [HBB(30, 20, 58, 40), HBB(70, 20, 98, 40), HBB(30, 100, 90, 118), HBB(30, 130, 90, 150)]
    for overlap in (0, 0.3):
        require_once(scanned(shapes, (128, 192), window_px=64, overlap=overlap), shapes, least=0.99)


def merged(windows: int, findings: list[Finding], target: Target, folder: Path) -> list[Any]:
    with Journal(folder / "journal.jsonl", windows=windows) as journal:
        journal.append(findings)
        return list(merge_windows(target, journal))


def test_a_guess_that_is_a_little_off_in_each_window_is_still_one(tmp_path: Path) -> None:
    target = Target("a.tif", Grid(180, 100), side=100, overlap=20)
    here = Finding(0, "answered", regions=(Region(HBB(70, 20, 100, 52), "the ship"),))
    there = Finding(
        1, "answered", regions=(Region(HBB(80, 24, 121, 50), "Ship"), Region(HBB(150, 60, 170, 80), "ship"))
    )
    found = merged(2, [here, there], target, tmp_path)
    assert sorted(one.geometries[0].x1 for one in found) == [70, 150]
    assert found[0].geometries == (HBB(70, 20, 121, 52),) and found[0].pieces == 2


def test_other_labels_are_other_things_and_repetitions_are_one(tmp_path: Path) -> None:
    target = Target("a.tif", Grid(180, 100), side=100, overlap=20)
    ship, quay = Region(HBB(82, 20, 96, 50), "ship"), Region(HBB(82, 20, 96, 50), "quay")
    findings = [Finding(0, "answered", regions=(ship, ship, quay)), Finding(1, "answered", regions=(quay, ship))]
    assert sorted(one.phrase for one in merged(2, findings, target, tmp_path)) == ["quay", "ship"]


def test_masks_without_overlap_are_closed_at_the_seam(tmp_path: Path) -> None:
    target = Target("a.tif", Grid(200, 100), side=100, overlap=0)
    left = Region(Mask(np.ones((4, 4), bool), HBB(40, 20, 98, 60)), "lake")
    right = Region(Mask(np.ones((4, 4), bool), HBB(101, 22, 150, 60)), "lake")
    findings = [Finding(number, "answered", regions=(region,)) for number, region in enumerate((left, right))]
    (lake,) = merged(2, findings, target, tmp_path)
    assert len(lake.geometries) == 1 and lake.kind == "mask"


def test_what_runs_through_very_many_strips_comes_out_in_parts(tmp_path: Path) -> None:
    target = Target("river.tif", Grid(50, 50 * 200), side=50, overlap=0)
    regions = [Region(HBB(10, 50 * number, 30, 50 * (number + 1)), "river") for number in range(200)]
    findings = [Finding(number, "answered", regions=(region,)) for number, region in enumerate(regions)]
    found = merged(200, findings, target, tmp_path)
    assert 2 <= len(found) <= 5 and sum(one.geometries[0].h for one in found) == 10_000


def test_strips_go_across_the_shorter_side_and_windows_cover_everything() -> None:
    for size in ((1000, 130), (130, 1000), (777, 777), (40, 30)):
        target = Target("a.tif", Grid(*size), first=7, side=100, overlap=30)
        seen = np.zeros(size[::-1], bool)
        for number in range(7, 7 + target.windows):
            window = target.window(number)
            assert window.x >= 0 and window.x + window.w <= size[0] and window.y + window.h <= size[1]
            seen[window.y : window.y + window.h, window.x : window.x + window.w] = True
        assert seen.all() and target.per_strip == (1 if size == (40, 30) else min(target.rows, target.columns))


def test_a_whole_piece_counts_more_than_cut_ones() -> None:
    slack = slack_px(100, 1.0)
    first, second = Window(0, 0, 100, 100), Window(60, 0, 100, 100)
    cut = piece_of(Region(HBB(70, 20, 100, 40), "ship"), first, (160, 100), 0, "", slack)
    whole = piece_of(Region(HBB(70, 20, 130, 40), "ship"), second, (160, 100), 1, "", slack)
    assert cut is not None and whole is not None and cut.cut == {"right"} and not whole.cut
    assert are_one(cut, whole, slack)
    (one,) = resolve([cut, whole], [(0, 1)], slack)
    assert one.geometries == (HBB(70, 20, 130, 40),) and one.window == second
