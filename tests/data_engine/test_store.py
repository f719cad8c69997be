"""A store gives back what was put in, to the bit, and reads it a row group at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_engine.store import SCHEMA_VERSION, ShardWriter, load_manifest, read_samples, read_shard
from data_engine.store.schema import (
    arrow_schema,
    geometry_to_row,
    require_text,
    row_to_geometry,
    row_to_sample,
    sample_to_row,
)
from data_engine.store.shards import GROUP_BYTES, GROUP_SAMPLES
from tests.data_engine import made_samples
from tests.data_engine.made_samples import encode_picture, make_sample, make_store
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Geometry, Mask
from vlm.records import Image, Sample


@given(made_samples.geometries)
def test_every_geometry_comes_back_exactly(geometry: Geometry) -> None:
    assert row_to_geometry(geometry_to_row(geometry)) == geometry


@given(st.lists(made_samples.samples, min_size=1, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_sample_comes_back_exactly_through_arrow(samples: list[Sample]) -> None:
    table = pa.Table.from_pylist([sample_to_row(sample) for sample in samples], schema=arrow_schema())
    assert [row_to_sample(row) for row in table.to_pylist()] == samples


def test_a_large_mask_costs_its_runs(tmp_path: Path) -> None:
    bits = np.zeros((4096, 4096), dtype=np.bool_)
    bits[1000:3000, 500:3500] = True
    mask = Mask(bits, HBB(0, 0, 4096, 4096))
    row = geometry_to_row(mask)
    assert len(row["runs"]) == 2 * 2000 + 1
    assert row_to_geometry(row) == mask


def write_shard(path: Path, samples: list[Sample]) -> ShardWriter:
    with ShardWriter(path) as writer:
        for sample in samples:
            writer.write(sample)
    return writer


def test_a_store_gives_back_its_samples_in_order(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=23, size=5)
    assert list(read_samples(store)) == [make_sample(number) for number in range(23)]
    manifest = load_manifest(store)
    assert [shard.samples for shard in manifest.shards] == [5, 5, 5, 5, 3]
    assert manifest.samples == 23
    assert manifest.counts == {
        "task": {"detect": 23}, "source": {"made": 23}, "split": {"train": 23}, "licence": {"CC0": 23},
    }  # fmt: skip
    assert json.loads((store / "manifest.json").read_text())["schema"] == SCHEMA_VERSION


@pytest.mark.parametrize("start", [0, 1, GROUP_SAMPLES - 1, GROUP_SAMPLES, GROUP_SAMPLES + 3, 2 * GROUP_SAMPLES + 9])
def test_a_shard_is_read_from_any_row_on(tmp_path: Path, start: int) -> None:
    image = Image(path="/x.png")
    samples = [make_sample(number, image=image) for number in range(2 * GROUP_SAMPLES + 10)]
    shard = write_shard(tmp_path / "shard-00000.parquet", samples).shard
    assert shard is not None
    assert list(read_shard(tmp_path, shard, start=start)) == samples[start:]


def test_groups_are_bounded_by_samples_and_by_bytes(tmp_path: Path) -> None:
    image = Image(data=b"x" * (GROUP_BYTES // 4))
    write_shard(tmp_path / "large.parquet", [make_sample(number, image=image) for number in range(10)])
    with pq.ParquetFile(tmp_path / "large.parquet") as file:
        groups = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
    assert groups == [4, 4, 2]


def test_memory_is_that_of_one_group_however_long_the_shard(tmp_path: Path) -> None:
    peaks = []
    for groups in (2, 12):
        images = [Image(data=np.random.default_rng(number).bytes(2**20)) for number in range(32 * groups)]
        shard = write_shard(tmp_path / "s.parquet", [make_sample(n, image=image) for n, image in enumerate(images)])
        del images
        peaks.append(max(pa.total_allocated_bytes() for _ in read_shard(tmp_path, shard.shard)))
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 4 * GROUP_BYTES


def test_an_image_that_samples_share_is_stored_once(tmp_path: Path) -> None:
    image = Image(data=np.random.default_rng(0).bytes(200_000))
    writer = write_shard(tmp_path / "s.parquet", [make_sample(number, image=image) for number in range(50)])
    assert writer.shard is not None
    assert writer.shard.bytes < 1.3 * 200_000


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = make_store(tmp_path / "a"), make_store(tmp_path / "b")
    assert made_samples.read_files(first) == made_samples.read_files(second)
    assert load_manifest(first).digest() == load_manifest(second).digest()


def test_a_shard_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def write_half() -> None:
        with ShardWriter(tmp_path / "s.parquet") as writer:
            for number in range(300):
                writer.write(make_sample(number, image=Image(path="/x.png")))
            raise StopError

    with pytest.raises(StopError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_no_samples_make_no_file(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "s.parquet", []).shard is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_manifest_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no manifest\.json, so it is no finished store"):
        load_manifest(tmp_path)


def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = make_store(tmp_path / "made") / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 99'))
    with pytest.raises(DataError, match="has schema 99, this Nadir reads 1"):
        load_manifest(tmp_path / "made")


def test_a_damaged_manifest_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = make_store(tmp_path / "made") / "manifest.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match="is no manifest of samples"):
        load_manifest(tmp_path / "made")


def test_text_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(DataError, match="holds text that is no Unicode"):
        require_text(replace(make_sample(0), source="bad \ud83d text"))


BAD_ROWS = [
    ("kind", {"kind": "circle"}, "kind 'circle'"),
    ("runs", {"kind": "mask", "shape": [2, 2], "runs": [1, 2]}, "mask of 2 x 2 cells has runs of 3 cells"),
    ("huge", {"kind": "mask", "shape": [10**6, 10**6], "runs": [10**12]}, "mask of 1000000 x 1000000"),
    ("negative", {"kind": "mask", "shape": [2, 2], "runs": [-4, 8]}, "mask of 2 x 2"),
    ("values", {"kind": "box", "values": [1.0, 2.0]}, "is no sample"),
    ("nan", {"kind": "box", "values": [1.0, 2.0, float("nan"), 4.0]}, "finite"),
    ("rings", {"kind": "polygon", "values": [0.0, 0.0, 1.0, 0.0, 1.0, 1.0], "shape": [4]}, "the numbers must add up"),
    ("shape", {"kind": "mask", "shape": [4], "runs": [4]}, "is no sample"),
]


@pytest.mark.parametrize(("name", "changed", "message"), BAD_ROWS, ids=[row[0] for row in BAD_ROWS])
def test_a_row_that_is_no_sample_is_refused_with_its_name(name: str, changed: dict, message: str) -> None:
    row = sample_to_row(make_sample(7))
    row["turns"][0]["answer_regions"][0] |= changed
    with pytest.raises(DataError, match=message) as caught:
        row_to_sample(row)
    assert "made/00007" in str(caught.value)


@pytest.mark.parametrize("column", ["images", "turns", "task", "id"])
def test_a_row_without_a_column_is_refused(column: str) -> None:
    row = sample_to_row(make_sample(1))
    with pytest.raises(DataError):
        row_to_sample(row | {column: None} if column != "id" else {key: row[key] for key in row if key != "id"})


def test_embedded_and_named_images_can_stand_in_one_sample(tmp_path: Path) -> None:
    pair = (Image(path="/before.tif", date="2019"), Image(data=encode_picture(), width=24, height=16))
    sample = replace(make_sample(0), images=pair)
    shard = write_shard(tmp_path / "s.parquet", [sample]).shard
    assert shard is not None
    assert list(read_shard(tmp_path, shard)) == [sample]
