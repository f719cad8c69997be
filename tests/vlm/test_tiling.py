"""Laws of tile plans: they cover the image, keep the budget, never magnify, and lead back to its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm.errors import WindowError
from vlm.geometry.shapes import Window
from vlm.tiling import TilePlan, TokenBudget, plan_grids, plan_tiles

sides = st.integers(min_value=1, max_value=120_000)
budgets = st.integers(min_value=1, max_value=40)


def plan(width: int, height: int, tiles: int, *, tile_px: int = 128, window: Window | None = None) -> TilePlan:
    budget = TokenBudget(tiles)
    return plan_tiles(width, height, tile_px=tile_px, tokens_per_tile=18, budget=budget, fit_factor=2.0, window=window)


@given(sides, sides, budgets)
def test_a_plan_keeps_its_budget_and_starts_with_the_whole_image(width: int, height: int, tiles: int) -> None:
    found = plan(width, height, tiles)
    assert 1 <= len(found.tiles) <= tiles
    assert found.visual_tokens == 18 * len(found.tiles)
    first = found.tiles[0]
    assert (first.level, first.window) == (0, Window(0, 0, max(width, height), max(width, height)))


@given(sides, sides, budgets)
def test_the_grid_covers_the_image_and_stays_in_it_where_it_can(width: int, height: int, tiles: int) -> None:
    grid = plan(width, height, tiles).tiles[1:]
    for axis, length in ((0, width), (1, height)):
        spans = sorted({((tile.window.x, tile.window.y)[axis], tile.window.w) for tile in grid})
        reach = 0
        for start, side in spans:
            assert start <= reach, "a gap between tiles"
            reach = start + side
            assert reach <= length or len(spans) == 1, "a tile sticks out although another place was free"
        assert not spans or (spans[0][0] == 0 and reach >= length)


@given(sides, sides, budgets)
def test_tiles_are_square_and_never_magnified_beyond_the_overview(width: int, height: int, tiles: int) -> None:
    for tile in plan(width, height, tiles).tiles[1:]:
        assert tile.window.w == tile.window.h >= 128
        assert tile.scale <= 1


@given(sides, sides)
def test_an_image_that_fits_one_tile_gets_one(width: int, height: int) -> None:
    assert (len(plan(width, height, 40).tiles) == 1) == (max(width, height) <= 256)


@given(sides, sides, st.integers(2, 60))
def test_more_tiles_never_make_a_coarser_grid(width: int, height: int, tiles: int) -> None:
    finest = [min(tile.window.w for tile in plan(width, height, count).tiles) for count in (tiles, tiles + 1)]
    assert finest[1] <= finest[0]
    levels = [level.side for level in plan_grids(width, height, tile_px=128, max_tiles=tiles)]
    assert levels == sorted(set(levels), reverse=True)


@given(sides, sides, budgets, st.floats(0, 1), st.floats(0, 1))
def test_a_tiles_frame_is_its_place_in_the_image(width: int, height: int, tiles: int, u: float, v: float) -> None:
    for tile in plan(width, height, tiles).tiles:
        x, y = tile.window.x + u * tile.window.w, tile.window.y + v * tile.window.h
        x1, y1, x2, y2 = tile.frame(Window(0, 0, width, height))
        by_frame = (x1 + u * (x2 - x1)) * width, (y1 + v * (y2 - y1)) * height
        np.testing.assert_allclose(by_frame, (x, y), rtol=0, atol=1e-4)


def test_a_window_is_planned_like_an_image_of_its_own() -> None:
    whole = plan(640, 512, 7)
    inside = plan(10_000, 9_000, 7, window=Window(3000, 2000, 640, 512))
    moved = [Window(tile.window.x - 3000, tile.window.y - 2000, tile.window.w, tile.window.h) for tile in inside.tiles]
    assert moved == [tile.window for tile in whole.tiles]
    area = Window(3000, 2000, 640, 512)
    assert [tile.frame(area) for tile in inside.tiles] == [tile.frame(Window(0, 0, 640, 512)) for tile in whole.tiles]
    with pytest.raises(WindowError, match="leaves the image of 640 x 512 pixels"):
        plan(640, 512, 7, window=Window(600, 0, 100, 100))


def test_budgets_bound_tokens_too_and_refuse_nothing_at_all() -> None:
    budget = TokenBudget(tiles=30, visual_tokens=100)
    found = plan_tiles(4000, 4000, tile_px=128, tokens_per_tile=18, budget=budget)
    assert found.visual_tokens <= 100
    with pytest.raises(WindowError, match="at least 1 tile"):
        TokenBudget(0)


def test_a_selector_may_reorder_and_cut_a_plan() -> None:
    found = plan(640, 512, 7)
    assert found.select([3, 0]).tiles == (found.tiles[3], found.tiles[0])
    for wrong in ([], [7]):
        with pytest.raises(WindowError, match="does not fit a plan of 7 tiles"):
            found.select(wrong)


@pytest.mark.parametrize(
    ("size", "tiles", "side"),
    [
        ((640, 512), 7, 256),
        ((512, 512), 5, 256),
        ((224, 224), 1, 224),
        ((3000, 300), 7, 500),
        ((100_000, 100_000), 5, 50_000),
    ],
)
def test_plans_that_users_meet(size: tuple[int, int], tiles: int, side: int) -> None:
    found = plan(*size, 7)
    assert (len(found.tiles), found.tiles[-1].window.w) == (tiles, side)
