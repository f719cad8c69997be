"""One missing or broken image costs its own samples only: it is counted with its reason, and the rest converts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_engine.intake_options import list_options
from data_engine.sources import SOURCES
from data_engine.store import read_samples
from tests.data_engine.makers import MAKERS
from vlm.records import Sample

OLDER = (
    "rsvqa", "hit_uav", "sztaki", "sar_ottawa", "oscd", "epfl_roads", "isaid", "hrsid", "dota", "neontree", "rsscn7",
)  # fmt: skip
ALONE = {"sar_ottawa"}
"""Sources that are one pair as a whole."""
BOTH_SENSORS = {"sen12", "bigearthnet"}
"""Sources whose records are an optical and a SAR image, which have ids of their own."""
BY_FOLDER = {"rsscn7"}
"""Sources that nothing but their folder lists: a missing image is not known."""


def key_of(sample: Sample) -> str:
    """Give the part of an id that names the record: source, split and image."""
    return "/".join(sample.id.split("/")[:3])


def shows(sample: Sample, picture: Path) -> bool:
    return any(image.path == str(picture) for image in sample.images)


@pytest.mark.parametrize("damage", ["missing image", "corrupt image"])
@pytest.mark.parametrize("name", OLDER)
def test_one_damaged_image_is_counted_and_the_rest_converts(make, run, tmp_path: Path, name: str, damage: str):
    root, split = make(name), "all" if name in ("oscd",) else MAKERS[name][1]
    told = {"annotations": True} if "annotations" in list_options(name) else {}
    clean = list(SOURCES[name].load(root, split=split, **told))
    victim = Path(clean[0].images[0].path or "")
    spoil(victim, damage)
    line = run("convert", name, root, tmp_path / "out", "--split", split)
    lost = {key_of(sample) for sample in clean if shows(sample, victim)}
    kept = [sample.id for sample in clean if key_of(sample) not in lost]
    assert [sample.id for sample in read_samples(tmp_path / "out")] == kept
    assert bool(kept) == (name not in ALONE)
    if damage == "missing image" and name in BY_FOLDER:
        assert line["dropped"] == {}
        return
    assert line["dropped"] == {damage: 1}
    (entry,) = read_rejected(tmp_path / "out")
    assert entry["reason"] == damage
    assert victim.name in entry["detail"]


def spoil(picture: Path, damage: str) -> None:
    picture.unlink()
    if damage == "corrupt image":
        picture.write_bytes(b"not an image")


def read_rejected(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(set(SOURCES) - set(OLDER)))
def test_a_corrupt_image_costs_no_other_records_samples(tmp_path: Path, name: str):
    make, split = MAKERS[name]
    root = tmp_path / name
    root.mkdir()
    make(root)
    clean = list(SOURCES[name].load(root, split=split))
    pictures = [Path(image.path) for image in clean[0].images if image.path]
    if not pictures:
        pytest.skip("its images lie in other files")
    root = root.rename(tmp_path / "damaged")  # readers may remember the headers of the files they have seen
    victim = root / pictures[0].relative_to(tmp_path / name)
    spoil(next(victim.rglob("*.tif")) if victim.is_dir() else victim, "corrupt image")
    seen: list[tuple[str, ...]] = []
    kept = {s.id for s in SOURCES[name].load(root, split=split, reject=lambda *words: seen.append(words))}
    lost = {key_of(sample) for sample in clean if sample.id not in kept}
    assert lost
    assert name in BOTH_SENSORS or lost <= {key_of(sample) for sample in clean if shows(sample, pictures[0])}
    assert {reason for reason, _, _ in seen} == {"corrupt image"}
    assert all(victim.name in detail for _, detail, _ in seen)


@pytest.mark.parametrize("name", ["change_folder", "dsifn", "levir_cd", "oscd", "sztaki"])
def test_an_image_that_breaks_off_costs_its_pair(make, run, tmp_path: Path, name: str):
    """The header of a truncated image is intact; what cuts crops from it meets the break first."""
    root, split = make(name), "all"
    clean = list(SOURCES[name].load(root, split=split))
    victim = Path(clean[0].images[1].path or "")
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    line = run("convert", name, root, tmp_path / "out", "--split", split)
    assert line["dropped"] == {"corrupt image": 1}
    assert 0 < line["kept"] < len(clean)
    (entry,) = read_rejected(tmp_path / "out")
    assert f"{victim.name} cannot be decoded" in entry["detail"]


@pytest.mark.parametrize("folder", ["A", "B", "label"])
def test_a_pair_that_lacks_a_file_is_counted(make, folder: str):
    root = make("levir_cd")
    (root / "list" / "train.txt").write_text("train_1_0000_0000.png\ntrain_2_0000_0256.png\n")
    (root / folder / "train_1_0000_0000.png").unlink()
    seen: list[tuple[str, ...]] = []
    kept = list(SOURCES["levir_cd"].load(root, split="train", reject=lambda *words: seen.append(words)))
    assert {key_of(sample) for sample in kept} == {"levir_cd/train/train_2_0000_0256"}
    ((_, detail, _),) = seen
    assert f"{folder}/train_1_0000_0000.* does not exist; expected A/<name>.png" in detail


def test_questions_about_a_missing_image_are_one_fault(make):
    root = make("rsvqa")
    (root / "HR" / "Data" / "7.tif").unlink()
    seen: list[tuple[str, ...]] = []
    kept = list(SOURCES["rsvqa"].load(root, split="train", reject=lambda *words: seen.append(words)))
    assert {key_of(sample).partition("/")[0] for sample in kept} == {"rsvqa-lr"}
    assert [reason for reason, _, _ in seen] == ["missing image"]


def test_a_bad_question_of_rsvqa_is_turned_away_alone(make):
    root = make("rsvqa")
    path = root / "LR" / "LR_split_train_answers.json"
    path.write_text(json.dumps({"answers": [{"id": 100, "answer": "rural"}]}))
    seen: list[tuple[str, ...]] = []
    kept = list(SOURCES["rsvqa"].load(root, split="train", reject=lambda *words: seen.append(words)))
    assert len(kept) == 4
    ((reason, detail, _),) = seen
    assert reason == "bad record"
    assert "question 1 points at answers [101]" in detail
