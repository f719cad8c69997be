"""What happens between two dates: every kind of true change occurs, is labelled where it shows, and is told."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest

from data_engine.synth import LAND, ScenePair, describe_change, pair_turns, render_pair
from data_engine.synth.canvas import exact_mask
from data_engine.synth.events import choose_event
from data_engine.synth.kinds import lay_out
from data_engine.synth.labels import land_cover
from vlm.geometry import to_hbb

SEEDS, SIZE_PX = range(36), 128


@cache
def pairs() -> tuple[ScenePair, ...]:
    harbours = [render_pair(seed, size_px=SIZE_PX, gsd_m=1.0, kind="port", unchanged=0.0) for seed in range(6)]
    return (
        *harbours,
        *(render_pair(seed, size_px=SIZE_PX, gsd_m=(0.5, 5.0)[seed % 2], unchanged=0.1) for seed in SEEDS),
    )


def happened(pair: ScenePair) -> set[str]:
    found = {event.kind for event in pair.events} | ({"moved"} if pair.moved else set())
    lasting = len(pair.moved)
    found |= {"built"} if len(pair.appeared) > lasting else set()
    return found | ({"demolished"} if len(pair.vanished) > lasting else set())


def test_every_kind_of_change_occurs() -> None:
    found = set().union(*map(happened, pairs()))
    assert found >= {"built", "demolished", "moved", "flooded", "burnt"}


def test_a_forest_can_be_cleared_and_is_bare_then() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        layout = lay_out("forest", rng, size_px=128, gsd_m=0.5).finish("forest")
        found = choose_event(rng, layout)
        if found is not None and found[1].kind == "cleared":
            after, event = found
            box = event.mask.box
            cut = np.s_[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
            before_land, after_land = land_cover(layout)[cut], land_cover(after)[cut]
            assert (before_land[event.mask.bits] == LAND.index("forest")).all()
            assert np.isin(after_land[event.mask.bits], [LAND.index("bare"), LAND.index("field")]).mean() > 0.97
            return
    pytest.fail("none of 20 forests was cleared")


def test_masks_cover_the_changed_objects_and_events_and_nothing_else() -> None:
    for pair in pairs():
        bits = np.zeros_like(pair.change_mask.bits)
        for entry in (*pair.appeared, *pair.vanished):
            found = exact_mask(bits.shape, np.array(entry.polygon.exterior))
            if found is not None:
                x1, y1, x2, y2 = found[1]
                bits[y1:y2, x1:x2] |= found[0]
        for event in pair.events:
            box = event.mask.box
            bits[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] |= event.mask.bits
        assert np.array_equal(bits, pair.change_mask.bits)
        assert pair.changed == bits.any()


def test_land_changes_where_an_event_says_so() -> None:
    for pair in pairs():
        for event in pair.events:
            box = event.mask.box
            cut = np.s_[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
            before, after = (scene.land[cut][event.mask.bits] for scene in (pair.before, pair.after))
            assert event.mask.bits.sum() >= 0.01 * SIZE_PX**2
            if event.kind == "flooded":
                assert (before == LAND.index("water")).mean() < 0.1
                assert (after == LAND.index("water")).mean() > 0.8
            if event.kind == "burnt":
                assert (after == LAND.index("bare")).mean() > 0.8


def test_moved_things_stand_once_on_each_date() -> None:
    moved = [pair for pair in pairs() if pair.moved]
    assert moved
    for pair in moved:
        for old, new in pair.moved:
            assert old in pair.before.objects and old not in pair.after.objects
            assert new in pair.after.objects and new not in pair.before.objects
            assert old.label == new.label
            assert np.hypot(old.obb.cx - new.obb.cx, old.obb.cy - new.obb.cy) > 0.4 * old.obb.w


def test_sentences_and_answers_tell_what_happened() -> None:
    words = {"built": "built", "demolished": "", "moved": "moved", "flooded": "flooded", "burnt": "burnt",
             "cleared": "cleared"}  # fmt: skip
    for pair in pairs():
        sentence = describe_change(pair)
        assert (sentence is None) == (not pair.changed)
        for kind in happened(pair):
            assert words[kind] in (sentence or "") or "arrived" in (sentence or "")
        turns = [turn for _, turn in pair_turns(pair, random.Random(0))]
        assert turns[0].answer.template == ("yes" if pair.changed else "no")
        for turn in turns:
            for region in turn.answer.regions:
                box = to_hbb(region.geometry)
                assert -1e-6 <= box.x1 < box.x2 <= SIZE_PX + 1e-6
                assert -1e-6 <= box.y1 < box.y2 <= SIZE_PX + 1e-6


def test_light_season_haze_and_jitter_are_no_change() -> None:
    for seed in range(8):
        pair = render_pair(seed, size_px=96, unchanged=1.0)
        assert not pair.changed
        assert np.abs(pair.before.rgb.astype(int) - pair.after.rgb).mean() > 2
        assert {turn.answer.template for _, turn in pair_turns(pair, random.Random(0))} <= {
            "no", "none", "no change has occurred",
        }  # fmt: skip


@pytest.mark.parametrize("sensor", ["ms4", "sar"])
def test_other_sensors_see_the_same_changes(sensor: str) -> None:
    rgb, other = (render_pair(3, size_px=96, unchanged=0.0, sensor=name) for name in ("rgb", sensor))
    assert rgb.change_mask == other.change_mask
    assert other.after.bands is not None
    assert not np.array_equal(other.before.data, other.after.data)
