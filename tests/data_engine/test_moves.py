"""The eight symmetries: pixels, regions and words move together, and what cannot be moved is left alone."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from data_engine import move_words
from data_engine.moves import MOVES, Move, can_move, move_image, move_sample, move_text, random_move
from data_engine.places import CELLS, PLACES, RELATIONS, say_place
from data_engine.recipes import RECIPES
from data_engine.store.pixels import load_rgb
from tests.vlm.made_rasters import checker, write_raster
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, OBB, Mask, Polygon
from vlm.raster import Raster
from vlm.records import Answer, Image, Region, Sample, Turn

QUARTER, HALF, MIRROR = Move(1), Move(2), Move(0, True)
moves = st.sampled_from(MOVES)


@pytest.mark.parametrize(
    ("text", "quarter", "half", "mirror"),
    [
        ("left-most ship", "top-most ship", "right-most ship", "right-most ship"),
        ("2 from the left", "2 from the top", "2 from the right", "2 from the right"),
        ("a car in the top left", "a car in the top right", "a car in the bottom right", "a car in the top right"),
        ("the ship at the top is green", "the ship on the right is green", "the ship at the bottom is green",
         "the ship at the top is green"),
        ("at the top of the tile", "on the right of the tile", "at the bottom of the tile", "at the top of the tile"),
        ("Is it above the bus?", "Is it to the right of the bus?", "Is it below the bus?", "Is it above the bus?"),
        ("above", "to the right", "below", "above"),
        ("to the left", "above", "to the right", "to the right"),
        ("to the left of the bus", "above the bus", "to the right of the bus", "to the right of the bus"),
        ("on the left of the bus", "above the bus", "on the right of the bus", "on the right of the bus"),
        ("Left of the bus", "Above the bus", "Right of the bus", "Right of the bus"),
        ("below and to the left", "above and to the left", "above and to the right", "below and to the right"),
        ("the upper left corner", "the upper right corner", "the lower right corner", "the upper right corner"),
        ("the northern part", "the eastern part", "the southern part", "the northern part"),
        ("in the north-east", "in the south-east", "in the south-west", "in the north-west"),
        ("Southwest of it", "Northwest of it", "Northeast of it", "Southeast of it"),
        ("horizontally", "vertically", "horizontally", "horizontally"),
        ("clockwise", "clockwise", "clockwise", "counterclockwise"),
        ("from the top left to the bottom right", "from the top right to the bottom left",
         "from the top left to the bottom right", "from the top right to the bottom left"),
        ("roads ['top-left'] buildings []", "roads ['top-right'] buildings []", "roads ['bottom-right'] buildings []",
         "roads ['top-right'] buildings []"),
        ("roads ['top-left', 'center-center', 'bottom-left']", "roads ['top-left', 'top-right', 'center-center']",
         "roads ['top-right', 'center-center', 'bottom-right']",
         "roads ['top-right', 'center-center', 'bottom-right']"),
        ("top-center and center left", "center-right and top center", "bottom-center and center right",
         "top-center and center right"),
        ("seen from above", "seen from above", "seen from above", "seen from above"),
        ("{ref box:0,1} upright, bright, stop", *["{ref box:0,1} upright, bright, stop"] * 3),
    ],
)  # fmt: skip
def test_words_turn_with_the_picture(text, quarter, half, mirror):
    assert [move_text(text, move) for move in (QUARTER, HALF, MIRROR)] == [quarter, half, mirror]


@pytest.mark.parametrize(
    "text",
    ["a right angle", "right next to the road", "it is right", "snow on top", "the top of the building", "turn left",
     "what is left over", "most of it is left", "a lower density", "a hill-top village", "a street in North Carolina",
     "South Korea", "above average", "as described above", "the road runs up", "three columns", "moving NE",
     "a bridge above a river", "the viaduct spans the road below", "no car above it", "two roads crossing vertically",
     "on the top floor", "a church with a white circle top", "right in the middle", "the left bank of the river",
     "on the left hand of the river", "arranged in right of the parking"],
)  # fmt: skip
def test_words_of_two_meanings_are_not_touched(text):
    assert move_text(text, QUARTER) is None
    assert not can_move([Turn("What is it?", Answer(text))])


CANONICAL = (*PLACES, *CELLS, *map(say_place, PLACES), *(f"car {words} the bus" for words in RELATIONS.values()),
             "left-most car", "top-most car", "second car from the bottom", "vertically", "the north-western edge",
             "from the top left to the bottom right", "['top-left', 'bottom-center']")  # fmt: skip


@given(st.sampled_from(CANONICAL), moves)
def test_moving_back_gives_the_words_back(text, move):
    there = move_text(text, move)
    assert move_text(there, move.inverse) == text


@given(moves, moves, st.sampled_from([(1, 0), (0, 1), (-1, 1), (1, 1)]))
def test_directions_follow_the_pixels(first, second, step):
    """Mark one pixel off the middle of a 3 x 3 picture; it goes where the direction goes."""
    picture = np.zeros((3, 3), bool)
    picture[1 + step[1], 1 + step[0]] = True
    moved = second.pixels(first.pixels(picture))
    x, y = second.direction(first.direction(step))
    assert moved[1 + y, 1 + x]


shapes = st.one_of(
    st.builds(lambda x, y, w, h: HBB(x, y, x + w, y + h), *[st.integers(0, 9)] * 2, *[st.integers(1, 8)] * 2),
    st.builds(OBB, *[st.integers(0, 20)] * 2, st.integers(5, 9), st.integers(1, 4), st.sampled_from((-90.0, 10.0))),
    st.just(Polygon(((1, 1), (9, 2), (5, 12)))),
    st.just(Mask(np.array([[True, False], [True, True]]), HBB(2, 3, 4, 5))),
)  # fmt: skip


@given(shapes, moves)
def test_regions_come_back(shape, move):
    region = Region(shape, "left-most car in the top right")
    there = move.region(region, 30, 20)
    assert move.inverse.region(there, *move.size(30, 20)) == region


def png(pixels):
    stream = io.BytesIO()
    Picture.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


@settings(deadline=None, max_examples=16)
@given(moves)
def test_a_mask_stays_on_its_pixels(move):
    pixels = np.zeros((6, 9), np.uint8)
    pixels[1:3, 2:7] = 255
    pixels[1, 2] = 0
    mask = Mask(pixels[1:3, 2:7] > 0, HBB(2, 1, 7, 3))
    moved = move_image(Image(data=png(pixels), width=9, height=6, crs="EPSG:32616"), move)
    region = move.region(Region(mask, "block"), 9, 6)
    got = np.asarray(Picture.open(io.BytesIO(moved.data)))
    box, drawn = region.geometry.box, np.zeros(got.shape, bool)
    drawn[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = region.geometry.bits
    assert (drawn == (got > 0)).all()
    assert (moved.width, moved.height, moved.crs) == (got.shape[1], got.shape[0], None)


@pytest.mark.parametrize("embedded", [False, True])
def test_an_image_of_many_bands_moves_whole(tmp_path, embedded):
    bands = checker(13, 6, 9, dtype="uint16")
    path = write_raster(tmp_path / "many.tif", bands, nodata=0)
    source = {"data": path.read_bytes()} if embedded else {"path": str(path)}
    names = tuple(f"B{k}" for k in range(13))
    moved = move_image(Image(**source, width=9, height=6, bands=names), QUARTER)
    with Raster.open(moved) as raster:
        assert np.array_equal(raster.read_stored(), np.rot90(bands, k=-1, axes=(1, 2)))
        assert (raster.nodata, raster.descriptions, raster.width) == (0, names, 6)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_pictures_keep_their_colours(mode):
    colours = np.random.default_rng(1).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    picture = Picture.fromarray(colours.astype("uint16")[..., 0] * 257 if mode == "I;16" else colours)
    stream = io.BytesIO()
    (picture if picture.mode == mode else picture.convert(mode)).save(stream, "PNG")
    image = Image(data=stream.getvalue(), width=9, height=6)
    assert np.array_equal(load_rgb(move_image(image, MIRROR)), load_rgb(image)[:, ::-1])


spoken = (
    "the a at on in to of and is it are from tops roof tree hill mountain road running runs points turn banks hand",
    "circle pointed bridge cross perpendicular average ground described north East WEST southern NE NNW SSE wards",
    "center centre middle most upper lower-left above below horizontally vertical counter-clockwise anticlockwise",
    "columns upstream downhill upwards upside sideways up down angle triangle view image picture part 2 cars .",
)
words = st.sampled_from([word for line in spoken for word in line.split()])


@settings(deadline=None, max_examples=300)
@given(st.lists(words, max_size=5), st.sampled_from((" ", "-", ", ")))
def test_what_is_told_at_once_to_hold_no_spatial_word_holds_none(said, joint):
    text = joint.join(said)
    if not move_words.may_say_where(text):
        assert move_words._REFUSED.search(text) is None
        assert move_words._WORDS.sub("", text.replace("from above", "")) == text


def sample(text="left-most car"):
    image = Image(data=png(np.zeros((20, 30), np.uint8)), width=30, height=20)
    regions = (Region(HBB(1, 1, 4, 4), "car"), Region(HBB(20, 1, 24, 4), "car"))
    turns = (
        Turn("Where are the cars?", Answer("{ref box:0,1}", regions, task="detect")),
        Turn(f"What is the {text} at {{box:0}}?", Answer("top left", task="vqa"), regions[:1]),
    )
    return Sample("s/1", (image,), turns, "chat", "s")


def test_samples_move_whole_and_lists_are_in_order_again():
    moved = move_sample(sample(), MIRROR)
    first, second = moved.turns
    assert [region.geometry.x1 for region in first.answer.regions] == [6, 26]
    assert second.instruction == "What is the right-most car at {box:0}?"
    assert second.answer.template == "top right"
    assert second.regions[0].geometry == HBB(26, 1, 29, 4)
    assert first.answer.task == "detect"


def test_samples_that_cannot_be_moved_are_left_alone():
    assert move_sample(sample("car left over"), MIRROR) is None
    assert list(RECIPES["turned"](sample("car on top"), 0)) == []


def test_the_recipe_turned_never_gives_the_same_picture():
    (made,) = RECIPES["turned"](sample(), 5)
    assert made.id.startswith("s/1/turned-")
    assert made.turns != sample().turns


def test_what_is_no_symmetry_is_refused():
    with pytest.raises(DataError, match="expected 0 to 3"):
        Move(4)
    with pytest.raises(DataError, match="image in memory cannot be moved"):
        move_image(Image(data=b"nothing", width=1, height=1), MIRROR)
    assert {random_move(random.Random(seed)) for seed in range(80)} == set(MOVES)
