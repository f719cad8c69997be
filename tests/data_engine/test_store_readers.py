"""What others read as it is: `datasets` streams the Parquet shards and the tars, tarfile reads these plain."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture

from data_engine.stage import StageOptions, Unit, map_store, write_stage
from data_engine.store import read_samples
from data_engine.store.schema import row_to_sample
from data_engine.store.webdataset import TarWriter, split_pairs, write_caption
from tests.data_engine.made_samples import encode_picture, make_caption, make_sample, make_store, read_files
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Answer, Image, Region

datasets = pytest.importorskip("datasets", reason="needs datasets (extra [train])")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_datasets_streams_the_shards_as_they_are(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=12, size=5)
    files = str(store / "*.parquet")
    stream = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert [row_to_sample(row) for row in stream] == list(read_samples(store))


def test_datasets_takes_the_folder_of_a_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=7, size=5)
    stream = datasets.load_dataset(str(store), split="train", streaming=True)
    assert [row["id"] for row in stream] == [f"made/{number:05d}" for number in range(7)]


def test_datasets_decodes_the_images_of_a_row(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=3, size=5)
    stream = datasets.load_dataset("parquet", data_files=str(store / "*.parquet"), split="train", streaming=True)
    decoded = stream.cast_column("images", datasets.List(datasets.Image()))
    for number, row in enumerate(decoded):
        expected = Picture.open(io.BytesIO(encode_picture(number)))
        assert np.array_equal(np.asarray(row["images"][0]), np.asarray(expected))


def test_the_schema_says_its_version(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=1)
    assert pq.read_schema(store / "shard-00000.parquet").metadata[b"nadir.schema"] == b"1"


def make_captions(folder: Path) -> Path:
    image = Image(data=encode_picture(1, form="JPEG"), width=24, height=16, gsd_m=0.5)
    png = Image(data=encode_picture(2), width=24, height=16)
    found = [
        make_caption(0, image),
        make_caption(1, png, text="two\nlines of  text"),
        make_sample(2),
        replace(make_caption(3, image), images=(image, png)),
        make_caption(4, image, text=" "),
        replace(
            make_caption(5, image), turns=(*make_caption(5, image).turns, make_caption(5, image, text="b").turns[0])
        ),
    ]

    def work(unit, ledger):
        yield from found

    write_stage("made", [Unit("all", len(found), None)], work, folder, options=StageOptions())
    return folder


def test_tars_hold_one_pair_for_each_caption(tmp_path: Path) -> None:
    store = make_captions(tmp_path / "made")
    ledger = map_store("tars", [store], tmp_path / "tars", split_pairs, options=StageOptions(), writer=TarWriter)
    assert (ledger.read, ledger.made, ledger.kept) == (6, 1, 4)
    assert ledger.dropped == Counter({"no image-text pair": 2, "empty caption": 1})
    with tarfile.open(tmp_path / "tars" / "shard-00000.tar") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
        assert all((member.mtime, member.uid, member.uname) == (0, 0, "") for member in tar)
    assert list(files)[:6] == [
        "000000000000.jpg", "000000000000.txt", "000000000000.json",
        "000000000001.png", "000000000001.txt", "000000000001.json",
    ]  # fmt: skip
    assert files["000000000000.jpg"] == encode_picture(1, form="JPEG")
    assert files["000000000000.txt"] == b"a { small } harbour"
    assert files["000000000001.txt"] == b"two lines of text"
    facts = json.loads(files["000000000000.json"])
    assert (facts["id"], facts["gsd_m"], facts["width"]) == ("made/00000", 0.5, 24)
    assert files["000000000003.txt"] == b"b"


def test_datasets_streams_the_tars(tmp_path: Path) -> None:
    image = Image(data=encode_picture(1, form="JPEG"), width=24, height=16)
    found = [make_caption(number, image, text=f"view {number}") for number in range(4)]
    write_stage(
        "tars", [Unit("all", 4, None)], lambda *_: found, tmp_path / "tars", options=StageOptions(), writer=TarWriter
    )
    files = str(tmp_path / "tars" / "*.tar")
    rows = list(datasets.load_dataset("webdataset", data_files=files, split="train", streaming=True))
    assert [(row["txt"], row["json"]["id"]) for row in rows] == [(f"view {n}", f"made/0000{n}") for n in range(4)]
    assert rows[0]["jpg"].size == (24, 16)


def test_the_same_samples_give_the_same_tars(tmp_path: Path) -> None:
    store = make_captions(tmp_path / "made")
    for name in ("a", "b"):
        map_store("tars", [store], tmp_path / name, split_pairs, options=StageOptions(), writer=TarWriter)
    assert read_files(tmp_path / "a") == read_files(tmp_path / "b")


def test_tars_are_no_store_of_samples(tmp_path: Path) -> None:
    store = make_captions(tmp_path / "made")
    map_store("tars", [store], tmp_path / "tars", split_pairs, options=StageOptions(), writer=TarWriter)
    with pytest.raises(DataError, match=r"is an export \(webdataset\)"):
        list(read_samples(tmp_path / "tars"))


def test_a_grounded_caption_keeps_the_phrases() -> None:
    ships = (Region(HBB(0, 0, 1, 1), "two ships"), Region(HBB(2, 2, 3, 3), "two ships"))
    answer = Answer("There are {ref box:0,1} {box:0} at the quay.", ships)
    assert write_caption(answer) == "There are two ships at the quay."
    with pytest.raises(DataError, match="has no region"):
        write_caption(Answer("{ref box:4}", ships))
