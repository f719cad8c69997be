"""Any sample of a store at once: what reading in order gives, images included, and the groups about one image."""

from __future__ import annotations

import os
import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest

from data_engine.store import read_samples
from data_engine.store.rows import Rows
from data_engine.store.shards import DamagedShardError
from tests.data_engine.made_corpora import make_image, say, store
from tests.data_engine.made_samples import encode_picture, make_sample, make_store
from vlm.errors import DataError
from vlm.records import Image, Sample


def mixed(tmp_path: Path) -> list[Sample]:
    """Make samples with embedded images, images by path, both and none, in shards of four."""
    path = tmp_path / "there.png"
    path.write_bytes(encode_picture(9))
    by_path, first, second = Image(path=str(path)), make_image(1), make_image(2)
    shown = [(first,), (by_path,), (first, second), (second, first), (), (first,), (by_path, first), (first, by_path)]
    return [say(number, images) for number, images in enumerate([*shown, (second,), (by_path,)])]


def test_any_sample_is_what_reading_in_order_gives(tmp_path: Path) -> None:
    for folder, samples in (("mixed", mixed(tmp_path)), ("many", [make_sample(number % 7) for number in range(300)])):
        home = store(tmp_path / folder, samples, shard=130)
        rows, expected = Rows(home), list(read_samples(home))
        order = list(range(len(expected)))
        random.Random(0).shuffle(order)
        assert len(rows) == len(samples)
        assert [rows[number] for number in order] == [expected[number] for number in order]
        assert rows[-1] == expected[-1] and rows[1:4] == expected[1:4]
        with pytest.raises(IndexError):
            rows[len(rows)]


def test_groups_hold_every_sample_once_by_its_images(tmp_path: Path) -> None:
    samples = mixed(tmp_path)
    groups = [group.tolist() for group in Rows(store(tmp_path / "mixed", samples, shard=4)).groups()]
    assert groups == [[0, 5], [1, 9], [2], [3], [4], [6], [7], [8]]
    copies = [replace(sample, images=(make_image(1),)) for sample in samples[:4]]
    assert len(Rows(store(tmp_path / "same", copies, shard=2)).groups()) == 1


def test_phrases_and_numbers_of_images_are_known_without_the_images(tmp_path: Path) -> None:
    assert Rows(make_store(tmp_path / "made", samples=12, size=5)).phrases() == {"ship", "quay"}
    samples = mixed(tmp_path)
    rows = Rows(store(tmp_path / "mixed", samples, shard=4))
    assert rows.image_counts().tolist() == [len(sample.images) for sample in samples]
    assert rows.phrases() == set()


def test_one_split_of_a_store_is_read_alone(tmp_path: Path) -> None:
    samples = [replace(sample, split=("train", "val")[at % 3 == 1]) for at, sample in enumerate(mixed(tmp_path))]
    home = store(tmp_path / "mixed", samples, shard=4)
    for split in ("train", "val", "test"):
        expected = [sample for sample in samples if sample.split == split]
        rows = Rows(home, split=split)
        assert list(rows) == expected
        assert sorted(number for group in rows.groups() for number in group.tolist()) == list(range(len(expected)))
        assert rows.image_counts().tolist() == [len(sample.images) for sample in expected]


def test_samples_about_one_image_share_its_bytes(tmp_path: Path) -> None:
    image = make_image(3)
    rows = Rows(store(tmp_path / "same", [say(number, image) for number in range(3)]))
    assert rows[0].images[0].data is rows[2].images[0].data


def test_a_copy_in_another_process_reads_too(tmp_path: Path) -> None:
    rows = Rows(make_store(tmp_path / "made", samples=12, size=5))
    assert pickle.loads(pickle.dumps(rows))[7] == rows[7]


def test_an_empty_store_has_no_samples_and_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    rows = Rows(store(tmp_path / "none", []))
    assert (len(rows), rows.groups(), rows.phrases()) == (0, [], set())
    with pytest.raises(DataError, match="holds no manifest"):
        Rows(tmp_path)


def test_a_damaged_shard_is_said(tmp_path: Path) -> None:
    home = make_store(tmp_path / "made", samples=12, size=5)
    shard = home / "shard-00001.parquet"
    os.truncate(shard, shard.stat().st_size // 2)
    with pytest.raises(DamagedShardError, match="shard-00001"):
        Rows(home)
