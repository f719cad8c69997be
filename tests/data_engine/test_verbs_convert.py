"""`python -m data_engine convert`: every dataset becomes a store, damage is counted, a stopped run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from data_engine.__main__ import main
from data_engine.formats import FORMATS, Reading
from data_engine.intake import Prepare, plan_intake
from data_engine.intake_options import list_options
from data_engine.sources import SOURCES
from data_engine.stage import StageOptions, write_stage
from data_engine.store import load_manifest, read_samples
from tests.data_engine.made_samples import make_store, read_files
from tests.data_engine.makers import MAKERS, write_image, write_json
from vlm.records import Image, Sample

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., dict[str, Any]]


def absolute(sample: Sample) -> Sample:
    def image(one: Image) -> Image:
        return one if one.path is None else replace(one, path=str(Path(one.path).absolute()))

    return replace(sample, images=tuple(map(image, sample.images)))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_dataset_comes_back_from_its_store(make: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    root, split, options = make(name), MAKERS[name][1], StageOptions(max_rejects=0)
    plan = plan_intake(name, root, Prepare(), splits=(split,), reading=Reading(), size=7, options=options)
    ledger = write_stage("convert", plan.units, plan.work, tmp_path / "out", options=options, config=plan.config)
    told = {"annotations": True} if "annotations" in list_options(name) else {}
    expected = [absolute(sample) for sample in SOURCES[name].load(root, split=split, seed=0, **told)]
    assert list(read_samples(tmp_path / "out")) == expected
    assert (ledger.read, ledger.made, ledger.kept, ledger.drops) == (len(expected), 0, len(expected), 0)


def test_convert_ends_with_a_line_that_adds_up(make: Callable[[str], Path], tmp_path: Path, run: Run) -> None:
    line = run("convert", "rsicd", make("rsicd"), tmp_path / "out")
    kept = len(list(SOURCES["rsicd"].load(tmp_path / "rsicd", split="train")))
    assert (line["verb"], line["read"], line["kept"], line["dropped"]) == ("convert", kept, kept, {})
    manifest = load_manifest(tmp_path / "out")
    assert manifest.counts["split"] == {"train": kept}
    assert manifest.config["source"] == "rsicd"


def test_several_splits_stand_in_one_store(make: Callable[[str], Path], tmp_path: Path, run: Run) -> None:
    run("convert", "rsicd", make("rsicd"), tmp_path / "out", "--split", "train,val")
    assert set(load_manifest(tmp_path / "out").counts["split"]) == {"train", "val"}


def test_embedded_images_outlive_the_dataset(make: Callable[[str], Path], tmp_path: Path, run: Run) -> None:
    root = make("rsicd")
    pictures = {path.name: path.read_bytes() for path in root.rglob("*.jpg")}
    run("convert", "rsicd", root, tmp_path / "out", "--embed")
    for path in root.rglob("*.jpg"):
        path.unlink()
    for sample in read_samples(tmp_path / "out"):
        assert sample.images[0].path is None
        assert sample.images[0].data in pictures.values()


def test_missing_and_broken_images_are_counted_with_their_reason(
    make: Callable[[str], Path], tmp_path: Path, run: Run
) -> None:
    root = make("rsicd")
    clean = Counter(Path(s.images[0].path or "").name for s in SOURCES["rsicd"].load(root, split="train"))
    whole = (root / "RSICD_images" / "airport_1.jpg").read_bytes()
    (root / "RSICD_images" / "airport_1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "RSICD_images" / "00002.jpg").unlink()
    line = run("convert", "rsicd", root, tmp_path / "out")
    assert line["kept"] == 0
    assert line["dropped"] == {"corrupt image": clean["airport_1.jpg"], "missing image": 1}
    assert line["read"] + line["made"] == line["kept"] + sum(line["dropped"].values())
    rejected = [json.loads(text) for text in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert any("airport_1.jpg cannot be decoded" in entry["detail"] for entry in rejected)
    assert any("00002.jpg does not exist" in entry["detail"] for entry in rejected)


def test_more_damage_than_allowed_is_refused(make: Callable[[str], Path], tmp_path: Path, refuse) -> None:
    root = make("rsicd")
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"")
    message = refuse("convert", "rsicd", root, tmp_path / "out", "--max-rejects", 0)
    assert "1 faults are more than --max-rejects 0 allows" in message
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert (tmp_path / "out" / "rejected.jsonl").read_text().count("\n") == 1


def test_a_dry_run_counts_by_task_and_touches_nothing(
    make: Callable[[str], Path], tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    root = make("rsicd")
    before = read_files(tmp_path)
    line = run("convert", "rsicd", root, tmp_path / "out", "--dry-run")
    assert line["kept"] == 0
    assert "samples by task: caption 3, classify 2" in caplog.text
    assert read_files(tmp_path) == before


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path, refuse) -> None:
    message = refuse("convert", "rsicdd", tmp_path, tmp_path / "out")
    assert "no source 'rsicdd'" in message and "rsicd" in message and "coco" in message
    assert "no form 'tfrecord'" in refuse("convert", "rsicd", tmp_path, tmp_path / "out", "--to", "tfrecord")
    assert "has no split 'dev'" in refuse("convert", "rsicd", tmp_path, tmp_path / "out", "--split", "dev")
    assert "does not exist; expected" in refuse("convert", "rsicd", tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_names_of_datasets_and_formats_differ() -> None:
    assert not set(SOURCES) & set(FORMATS)
    assert not {"samples", "webdataset", "store"} & (set(FORMATS) | set(SOURCES))


def test_the_list_names_every_source_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "--list"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [*SOURCES, *FORMATS, "store"]


def test_a_file_of_a_format_becomes_a_store(tmp_path: Path, run: Run) -> None:
    for number in range(3):
        write_image(tmp_path / "images" / f"{number}.png", (32, 32), seed=number)
    records = [
        {
            "image": f"{number}.png",
            "conversations": [
                {"from": "human", "value": "<image>\nWhat?"},
                {"from": "gpt", "value": f"field {number}"},
            ],
        }
        for number in range(4)
    ]
    write_json(tmp_path / "train.json", records)
    line = run("convert", "llava", tmp_path / "train.json", tmp_path / "out", "--images", tmp_path / "images")
    assert (line["read"], line["kept"], line["faults"]) == (4, 3, 1)
    assert [sample.turns[0].answer.template for sample in read_samples(tmp_path / "out")] == [
        "field 0", "field 1", "field 2",
    ]  # fmt: skip


def test_a_store_becomes_a_file_of_a_format_and_comes_back(tmp_path: Path, run: Run) -> None:
    store = make_store(tmp_path / "made", samples=6, size=4)
    line = run("convert", "store", store, tmp_path / "own.json", "--to", "llava", "--dialect", "nadir")
    assert (line["read"], line["kept"], line["dropped"]) == (6, 6, {})
    again = run("convert", "llava", tmp_path / "own.json", tmp_path / "back", "--dialect", "nadir")
    assert again["kept"] == 6
    for before, after in zip(read_samples(store), read_samples(tmp_path / "back"), strict=True):
        assert (before.task, len(before.turns[0].answer.regions)) == (after.task, len(after.turns[0].answer.regions))


def test_what_a_format_cannot_hold_is_counted(make: Callable[[str], Path], tmp_path: Path, run: Run) -> None:
    run("convert", "rsicd", make("rsicd"), tmp_path / "captions")
    line = run("convert", "store", tmp_path / "captions", tmp_path / "coco" / "boxes.json", "--to", "coco")
    assert (line["kept"], line["dropped"]) == (0, {"not in coco": 5})
    assert (tmp_path / "coco" / "boxes.rejected.jsonl").read_text().count("\n") == 5


def test_captions_become_tars(make: Callable[[str], Path], tmp_path: Path, run: Run) -> None:
    line = run("convert", "rsicd", make("rsicd"), tmp_path / "tars", "--to", "webdataset")
    assert (line["kept"], line["dropped"]) == (3, {"no image-text pair": 2})
    assert load_manifest(tmp_path / "tars").format == "webdataset"


def make_large_rsicd(root: Path, images: int) -> Path:
    records = []
    for number in range(images):
        name = f"airport_{number}.jpg"
        write_image(root / "RSICD_images" / name, (64, 64), seed=number)
        sentences = [{"raw": f"view {number} of {word} ."} for word in ("one", "two", "three")]
        records.append({"filename": name, "split": "train", "imgid": number, "sentences": sentences})
    write_json(root / "dataset_rsicd.json", {"images": records, "dataset": "rsicd"})
    return root


@pytest.mark.slow
@pytest.mark.parametrize(("how", "workers"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_a_stopped_command_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, run: Run, how: signal.Signals, workers: int
) -> None:
    root, out = make_large_rsicd(tmp_path / "rsicd", 250), tmp_path / "out"
    arguments = ["convert", "rsicd", str(root), str(out), "--embed", "--shard-samples", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "data_engine", *arguments, "--workers", str(workers)],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (out / ".units" / "00002.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, how)  # as a terminal does: the workers hear it too
    message = process.communicate(timeout=60)[1]
    assert not (out / "manifest.json").exists(), "the run was over before it was stopped"
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on" in message and "Traceback" not in message
    run(*arguments)
    run("convert", "rsicd", root, tmp_path / "straight", "--embed", "--shard-samples", 2)
    assert read_files(out) == read_files(tmp_path / "straight")


def test_real_files_keep_their_counts(shared_data: Path, tmp_path: Path, run: Run) -> None:
    line = run("convert", "hit_uav", shared_data / "hit_uav", tmp_path / "out", "--split", "val")
    assert line["kept"] > 100 and line["dropped"] == {}
    for sample in read_samples(tmp_path / "out"):
        with Picture.open(sample.images[0].path or "") as picture:
            assert picture.size == (sample.images[0].width, sample.images[0].height)


def test_the_samples_to_come_are_estimated_from_the_records_read(tmp_path: Path) -> None:
    root, options = make_large_rsicd(tmp_path / "rsicd", 50), StageOptions()
    plan = plan_intake("rsicd", root, Prepare(), splits=("train",), reading=Reading(), size=30, options=options)
    assert plan.expect is not None and plan.expect() is None
    for _ in plan.units:
        assert plan.expect() == pytest.approx(150, rel=0.2)
