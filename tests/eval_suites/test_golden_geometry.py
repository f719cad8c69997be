"""The golden cases on geometry: published files with the numbers of the official code, read from expected.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Options
from eval_suites.rules.registry import find_rule

OBB, HBB, MASKS = "05_grounding_obb_earthdial_real", "21_grounding_hbb_rules_composite", "13_refseg_choice_synthetic"
DOTA, RETRIEVAL = "14_rotated_detection_dota_synthetic", "18_retrieval_rsitmd_synthetic"
CLASSES = "25_change_seg_levirmci_synthetic"


@pytest.fixture(scope="session")
def golden(repository: Path) -> Path:
    folder = repository.parent / "shared" / "eval_golden"
    if not folder.is_dir():
        pytest.skip("needs the published predictions in ../shared/eval_golden")
    return folder


def score(path: Path, suite: str, protocol: str | None = None) -> dict[str, float]:
    """Give every number of a rule: measures by name, those of tables as `title/row`."""
    rule = find_rule(suite, protocol)
    loaded = rule.reader(path, None, rule.fields, Options())
    scores = rule.score(loaded, Options())
    numbers = {measure.name: number(measure) for measure in scores.measures}
    return numbers | {
        f"{title}/{row}": number(one) for title, rows in scores.tables.items() for row, one in rows.items()
    }


def number(measure: Any) -> float:
    return float(measure.combine(measure.parts.sum(axis=0))) if isinstance(measure, Measure) else measure.value


def expected(golden: Path, folder: str, part: str = "") -> Any:
    """Read expected.json, or the part of it whose key starts so."""
    content = json.loads((golden / folder / "expected.json").read_text(encoding="utf-8"))
    return next(value for key, value in content.items() if key.startswith(part)) if part else content


def agrees(found: Mapping[str, float], wanted: Mapping[str, float], *, percent: bool = False) -> None:
    """Compare to the digits that are written."""
    scale = 100 if percent else 1
    assert {name: round(scale * found[name], 4 if percent else 6) for name in wanted} == pytest.approx(
        {name: round(value, 4 if percent else 6) for name, value in wanted.items()}, abs=1.1e-4 if percent else 1.1e-6
    )


@pytest.mark.parametrize("name", ["GeoChat.jsonl.gz", "NWPU_VHR_10.jsonl.gz", "ship_dataset_v0.jsonl"])
def test_earthdials_precision(golden: Path, name: str) -> None:
    """The tolerance is that of exact ties on the integer grid: the paper's 31.76 and 34.29 are ours."""
    found = score(golden / OBB / name, "geochat-refer", "EarthDial precision AND one-to-one F1")
    wanted = expected(golden, OBB)["datasets"][name.split(".")[0]]
    for group, value in wanted.items():
        table = "number of objects" if group in ("single", "multiple") else "size group"
        assert found[f"precision by {table}/{group}"] == pytest.approx(value, abs=4e-4), group
    if name.startswith("GeoChat"):
        paper = expected(golden, OBB)["independent_recomputation"]
        assert round(found["precision by size group/medium"], 4) == paper["medium"]
        assert round(found["precision by number of objects/single"], 4) == paper["single"]


@pytest.mark.parametrize(
    ("suite", "key"), [("vrsbench-ref", "VRSBench_official"), ("dior-rsvg", "LPVA"), ("opt-rsvg", "LPVA")]
)
def test_horizontal_boxes(golden: Path, suite: str, key: str) -> None:
    """LPVA's float32 path is reproduced to the digit, ties included."""
    wanted = {name.replace("@0.", "@."): value for name, value in expected(golden, HBB, key).items()}
    for name in ("n", "valid"):
        wanted.pop(name, None)
    agrees(score(golden / HBB / "boxes_0_100.json.gz", suite), wanted, percent=True)


def test_rscovlms_boxes_and_exact_ties(golden: Path) -> None:
    path = golden / HBB / "boxes_0_100.json.gz"
    assert 100 * score(path, "refgeo", "rscovlm")["Acc@.5"] == pytest.approx(expected(golden, HBB, "RSCoVLM"), abs=1e-4)
    assert 100 * score(path, "dior-rsvg", "exact")["Pr@.5"] == pytest.approx(35.3297, abs=1e-4)


def test_referring_masks(golden: Path) -> None:
    rmsin = expected(golden, MASKS, "RMSIN")
    agrees(score(golden / MASKS, "rrsisd"), {k.replace("@0.", "@."): v for k, v in rmsin.items()}, percent=True)
    lisa = expected(golden, MASKS, "SegEarth")
    agrees(score(golden / MASKS, "earthreason"), {k.replace("@0.", "@."): v for k, v in lisa.items()})
    agrees(score(golden / MASKS, "change-mask", "vista"), expected(golden, MASKS, "VisTA"))


def test_rotated_detection(golden: Path) -> None:
    found = score(golden / DOTA / "gt_and_dets.json.gz", "dota-text")
    for part, name, table in (("mAP_with", "mAP", "AP by class"), ("mAP_nc_stable", "mAP_nc", "AP_nc by class")):
        wanted = expected(golden, DOTA, part)
        agrees(found, {name: wanted["mAP"]})
        for one, value in wanted["AP"].items():
            assert found[f"{table}/{one}"] == pytest.approx(value, abs=2e-6), one
    f1 = expected(golden, DOTA, "mF1")
    agrees(found, {"mF1": f1["F1"], "mean precision": f1["AP(mean precision)"], "mean recall": f1["AR(mean recall)"]})


def test_retrieval(golden: Path) -> None:
    amfmn = expected(golden, RETRIEVAL, "amfmn")
    found = score(golden / RETRIEVAL, "retrieval-rsitmd", "AMFMN mR")
    for side in ("i2t", "t2i"):
        agrees(found, dict(zip((f"{side} R@1", f"{side} R@5", f"{side} R@10"), amfmn[side], strict=True)), percent=True)
    agrees(found, {"mR": amfmn["mR"]}, percent=True)
    clip = expected(golden, RETRIEVAL, "remoteclip")
    found = score(golden / RETRIEVAL, "retrieval-rsitmd", "clip_benchmark")
    for name, value in clip.items():
        ours = "mR" if name == "mean_recall" else name.replace("_", " ")
        assert 100 * found[ours] == pytest.approx(value, abs=0.06), name  # torch.topk leaves ties open


@pytest.mark.parametrize("protocol", ["levir-mci", None])
def test_three_change_classes(golden: Path, protocol: str | None) -> None:
    wanted = expected(golden, CLASSES)
    found = score(golden / CLASSES / "masks.npz", "change-mask", protocol)
    agrees(found, {name: wanted[name] for name in ("mIoU", "Acc", "Acc_class", "FWIoU")})
    if protocol:
        agrees(found, dict(zip(("IoU by class/background", "IoU by class/road", "IoU by class/building"), wanted["IoU"],
                               strict=True)))  # fmt: skip


def test_the_splits_of_dior_rsvg_number_every_object_once(golden: Path) -> None:
    folder = golden / "26_data_dior_rsvg_splits"
    splits = {
        name: [int(line) for line in (folder / f"{name}.txt").read_text().split()] for name in ("train", "val", "test")
    }
    assert {name: len(split) for name, split in splits.items()} == {"train": 26_991, "val": 3_829, "test": 7_500}
    assert sorted(number for split in splits.values() for number in split) == list(range(38_320))
