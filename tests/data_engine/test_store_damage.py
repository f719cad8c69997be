"""Damage is counted with its reason and costs what it touches: a group, a shard, a sample. Nothing is made up."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture

from data_engine.stage import StageOptions, map_store
from data_engine.store import Ledger, ShardWriter, load_manifest, read_samples, read_shard
from data_engine.store.images import ImageFaultError, check_image, embed_image
from data_engine.store.ledger import TooManyRejectsError
from data_engine.store.manifest import Shard
from data_engine.store.schema import arrow_schema, sample_to_row
from data_engine.store.shards import GROUP_SAMPLES, DamagedShardError
from tests.data_engine.made_samples import encode_picture, make_sample, make_store
from vlm.errors import DataError
from vlm.records import Image


def test_a_truncated_shard_is_counted_and_the_others_are_read(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=20, size=5)
    shard = load_manifest(store).paths()[1]
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(DamagedShardError, match=r"shard-00001\.parquet rows 0 to 4 cannot be read"):
        list(read_samples(store))
    ledger = Ledger()
    assert [sample.id for sample in read_samples(store, ledger)] == [
        f"made/{number:05d}" for number in range(20) if not 5 <= number < 10
    ]
    assert (ledger.read, ledger.dropped, ledger.faults) == (20, Counter({"damaged shard": 5}), 1)


def test_a_missing_shard_is_counted(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=20, size=5)
    load_manifest(store).paths()[3].unlink()
    ledger = Ledger()
    assert len(list(read_samples(store, ledger))) == 15
    assert (ledger.read, ledger.dropped["damaged shard"]) == (20, 5)


def test_a_flipped_bit_costs_its_group_alone(tmp_path: Path) -> None:
    samples = [make_sample(number) for number in range(3 * GROUP_SAMPLES)]
    with ShardWriter(tmp_path / "s.parquet") as writer:
        for sample in samples:
            writer.write(sample)
    with pq.ParquetFile(tmp_path / "s.parquet") as file:
        column = file.metadata.row_group(1).column(5)
        offset = column.dictionary_page_offset or column.data_page_offset
    content = bytearray((tmp_path / "s.parquet").read_bytes())
    content[offset + 60] ^= 4
    (tmp_path / "s.parquet").write_bytes(content)
    ledger = Ledger()
    assert writer.shard is not None
    assert list(read_shard(tmp_path, writer.shard, ledger)) == samples[:GROUP_SAMPLES] + samples[2 * GROUP_SAMPLES :]
    assert (ledger.read, ledger.dropped) == (len(samples), Counter({"damaged shard": GROUP_SAMPLES}))


def test_a_shard_with_fewer_rows_than_its_manifest_says_is_noticed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=10, size=5)
    _, second = load_manifest(store).paths()
    with ShardWriter(second) as writer:
        writer.write(make_sample(5))
    ledger = Ledger()
    assert len(list(read_samples(store, ledger))) == 6
    assert ledger.dropped["damaged shard"] == 4
    assert "holds 1 samples, its manifest says 5" in ledger.rejected[0]["detail"]


def spoil_row(store: Path, number: int) -> None:
    path = load_manifest(store).paths()[0]
    rows = pq.read_table(path).to_pylist()
    rows[number]["turns"][0]["answer_regions"][0]["kind"] = "circle"
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema()), path)


def test_a_bad_row_is_rejected_and_the_stage_goes_on(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=10, size=5)
    spoil_row(store, 2)
    ledger = map_store("copy", [store], tmp_path / "out", keep, options=StageOptions())
    assert (ledger.read, ledger.made, ledger.kept, ledger.dropped) == (10, 0, 9, Counter({"bad row": 1}))
    (line,) = (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["where"].endswith("shard-00000.parquet row 2")
    assert "kind 'circle'" in json.loads(line)["detail"]


def keep(sample, ledger):
    yield sample


def test_more_faults_than_allowed_end_the_stage_and_are_written_down(tmp_path: Path) -> None:
    store = make_store(tmp_path / "made", samples=10, size=5)
    spoil_row(store, 2)
    load_manifest(store).paths()[1].write_bytes(b"")
    with pytest.raises(TooManyRejectsError, match="2 faults are more than --max-rejects 1 allows"):
        map_store("copy", [store], tmp_path / "out", keep, options=StageOptions(max_rejects=1))
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert reasons == ["bad row", "damaged shard"]
    assert not (tmp_path / "out" / "manifest.json").exists()
    ledger = map_store("copy", [store], tmp_path / "out", keep, options=StageOptions(max_rejects=2))
    assert (ledger.read, ledger.kept, ledger.faults) == (10, 4, 2)


def test_rows_of_another_shape_do_not_pass_as_samples(tmp_path: Path) -> None:
    row = sample_to_row(make_sample(0))
    row["image_facts"] = []
    pq.write_table(pa.Table.from_pylist([row], schema=arrow_schema()), tmp_path / "shard-00000.parquet")
    with pytest.raises(DataError, match="is no sample"):
        list(read_shard(tmp_path, Shard("shard-00000.parquet", 1, 0, "")))


def write_images(folder: Path) -> dict[str, Path]:
    whole, tif = encode_picture(1, (64, 64), "JPEG"), encode_picture(2, (64, 64), "TIFF")
    files = {
        "whole.jpg": whole,
        "whole.tif": tif,
        "whole.png": encode_picture(3, (64, 64)),
        "cut.jpg": whole[: len(whole) // 2],
        "cut.png": encode_picture(3, (64, 64))[:2000],
        "cut.tif": tif[:3000],
        "empty.png": b"",
        "words.png": b"this is no image at all",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


@pytest.mark.parametrize("name", ["whole.jpg", "whole.tif", "whole.png"])
def test_whole_images_pass_by_path_and_embedded(tmp_path: Path, name: str) -> None:
    image = Image(path=str(write_images(tmp_path)[name]), width=64, height=64)
    check_image(image)
    embedded = embed_image(image)
    check_image(embedded)
    assert (embedded.path, embedded.data) == (None, (tmp_path / name).read_bytes())


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.tif", "empty.png", "words.png"])
def test_damaged_images_are_found_by_path_and_embedded(tmp_path: Path, name: str) -> None:
    path = write_images(tmp_path)[name]
    for image in (Image(path=str(path)), Image(data=path.read_bytes())):
        with pytest.raises(ImageFaultError) as caught:
            check_image(image)
        assert caught.value.reason == "corrupt image"


def test_missing_images_and_wrong_sizes_have_their_own_reasons(tmp_path: Path) -> None:
    path = write_images(tmp_path)["whole.png"]
    with pytest.raises(ImageFaultError, match="is 64 x 64 px, its sample says 64 x 60") as caught:
        check_image(Image(path=str(path), width=64, height=60))
    assert caught.value.reason == "wrong size"
    for look in (check_image, embed_image):
        with pytest.raises(ImageFaultError, match="cannot be found") as caught:
            look(Image(path=str(tmp_path / "gone.png")))
        assert caught.value.reason == "missing image"


def test_a_file_that_was_mended_is_looked_at_again(tmp_path: Path) -> None:
    path = write_images(tmp_path)["cut.png"]
    with pytest.raises(ImageFaultError):
        check_image(Image(path=str(path)))
    path.write_bytes(encode_picture(3, (64, 64)))
    check_image(Image(path=str(path)))


def test_a_very_large_picture_is_read_in_blocks(tmp_path: Path) -> None:
    Picture.fromarray(np.zeros((9000, 10000), np.uint8)).save(tmp_path / "large.png", compress_level=1)
    check_image(Image(path=str(tmp_path / "large.png"), width=10000, height=9000))
    content = (tmp_path / "large.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageFaultError):
        check_image(Image(path=str(tmp_path / "cut.png")))


def test_remote_images_are_believed_and_cannot_be_embedded() -> None:
    image = Image(path="https://example.com/scene.tif", width=10, height=10)
    check_image(image)
    with pytest.raises(ImageFaultError, match="download it first"):
        embed_image(image)
