"""What towers are shown: any step again by its number, regions where they lie, languages by weight."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_engine.languages import mark_language, read_language
from data_engine.store.rows import Rows
from tests.train.made_captions import COLOURS, make_captioned, write_captioned
from train.captions import Album, Frame, Steps, Wanted, parse_languages
from vlm.errors import DataError, InputError
from vlm.records import Answer

FRAME = Frame(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
ALL = Wanted(regions=2, crops=1)


def steps(rank: int = 0, ranks: int = 1) -> Steps:
    return Steps([(Album(make_captioned(4), ALL), 1.0)], FRAME, batch=4, seed=1, rank=rank, ranks=ranks)


@pytest.mark.parametrize("code", ["en", "pt", "zh-Hant"])
def test_a_language_is_read_from_the_id(code: str) -> None:
    assert read_language(mark_language("set/train/a@b.jpg/caption-0", code)) == code
    assert read_language("set/train/a@b.jpg/caption-0") == "en"


def test_what_is_no_language_is_refused() -> None:
    with pytest.raises(DataError, match="'Portuguese' is no code of a language"):
        mark_language("a", "Portuguese")
    with pytest.raises(InputError, match="languages has 'pt:no': expected a code and a weight above 0"):
        parse_languages(["en", "pt:no"])


def test_languages_are_drawn_by_weight() -> None:
    album = Album(make_captioned(3), Wanted(parse_languages(["en:0.75", "pt:0.25"])))
    rng = random.Random(0)
    said = Counter(album.draw(rng).caption.split()[0] for _ in range(200))
    assert said["a"] + said["uma"] == 200 and 30 <= said["uma"] <= 70
    only = Album(make_captioned(3), Wanted(parse_languages(["pt"])))
    assert {only.draw(rng).caption.split()[0] for _ in range(20)} == {"uma"}
    with pytest.raises(DataError, match=r"no image has a caption in zh: the samples hold en, pt"):
        Album(make_captioned(3), Wanted(parse_languages(["zh"])))


def test_boxes_make_captions_where_asked() -> None:
    boxes = [sample for sample in make_captioned(3) if sample.task == "detect"]
    with pytest.raises(DataError, match="no image has a caption: the samples hold en"):
        Album(boxes, Wanted())
    album = Album(boxes, Wanted(box_captions=True))
    assert all("box" in album.draw(random.Random(seed)).caption for seed in range(5))


def test_a_store_gives_what_its_samples_give(tmp_path: Path) -> None:
    album = Album(Rows(write_captioned(tmp_path / "data", 3), split="train"), ALL)
    other = Album(make_captioned(3), ALL)
    for seed in range(5):
        one, two = (which.draw(random.Random(seed)) for which in (album, other))
        assert one.caption == two.caption and one.regions == two.regions and np.array_equal(one.rgb, two.rgb)


def test_a_step_is_the_same_again_and_processes_share_it_out() -> None:
    whole = steps()[5]
    again = steps()[5]
    assert whole.captions == again.captions and torch.equal(whole.tiles, again.tiles)
    assert not torch.equal(whole.tiles, steps()[6].tiles)
    parts = [steps(rank=rank, ranks=2)[5] for rank in (0, 1)]
    assert parts[0].captions + parts[1].captions == whole.captions
    assert torch.equal(torch.cat([part.tiles for part in parts]), whole.tiles)
    assert parts[0].names + parts[1].names == whole.names


def test_regions_lie_where_their_colour_is() -> None:
    batch = steps()[0]
    assert len(batch.names) == len(batch.regions.boxes) == len(batch.regions.tiles) >= 4
    assert len(batch.crops.tiles) == len(batch.crops.boxes) == 4
    for name, number, box, cut in zip(
        batch.names, batch.regions.image, batch.regions.boxes, batch.regions.tiles, strict=True
    ):
        x, y = ((box[:2] + box[2:]) / 2 * FRAME.tile_px).int().tolist()
        middle = FRAME.tile_px // 2
        expected = np.argmax(COLOURS[name.split()[0]])
        assert batch.tiles[number, y, x].argmax() == expected, name
        assert cut[middle, middle].argmax() == expected, name


def test_an_object_told_twice_is_one_region_and_nothing_makes_no_caption() -> None:
    captions = [sample for sample in make_captioned(1) if sample.task == "caption"]
    (boxes,) = [sample for sample in make_captioned(1) if sample.task == "detect"]
    turn = boxes.turns[0]
    answers = {region.phrase: Answer("{ref box:0}", (region,)) for region in turn.answer.regions}
    per_class = [replace(boxes, id=name, turns=(replace(turn, answer=one),)) for name, one in answers.items()]
    drawn = Album([*captions, boxes, *per_class], ALL).draw(random.Random(0))
    assert len(drawn.regions) == len(turn.answer.regions) == 2
    nothing = replace(boxes, turns=(replace(turn, answer=Answer("none")),))
    with pytest.raises(DataError, match="no image has a caption"):
        Album([nothing], Wanted(box_captions=True))
