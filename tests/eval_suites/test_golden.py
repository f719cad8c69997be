"""The golden cases on text: published files with the numbers of the official code, scored by the command line.

One table: folder, file, suite, protocol, and how expected.json names what the command prints. Cases that are tables of
strings go through the functions that the rules use.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eval_suites.__main__ import main
from eval_suites.rules.asked import apply_vrsbench
from eval_suites.rules.letters import read_intersection, read_mme, read_mme_lmms, read_xlrs
from eval_suites.rules.matches import MATCHES
from eval_suites.rules.synonyms import match_synonym
from eval_suites.rules.typed import name_class
from eval_suites.rules.wordnet import load_wordnet
from tests.eval_suites import test_golden_geometry as geometry

Numbers = dict[str, float]
RSICD, RSVQA, SCENES = "01_caption_coco_rsicd_real", "03_vqa_rsvqa_lr_earthdial_real", "04_scene_cls_earthdial_real"
REGIONS, CHANGES = "07_region_caption_geochat_earthdial_real", "08_change_caption_small_earthdial_real"
LEVIR, RSRAG, LRSVQA = "10_change_caption_levircc_real", "11_vqa_cls_rsrag_real", "15_vqa_lrsvqa_synthetic"
CLASSES, CDVQA, LETTERS = (
    "16_vqa_rsvqa_quantisation_synthetic",
    "17_change_vqa_cdvqa_synthetic",
    "19_mcq_extraction_table",
)
XLRS, CHANGECHAT = "20_mcq_xlrs_aggregation_synthetic", "22_change_count_loc_changechat_synthetic"
MATCHERS, LITE = "24_text_match_rules_table", "27_mcq_xlrs_lite_real_small"
EXACT, FOUR_DIGITS, NLTK_METEOR, COCO = 1e-6, 5.1e-5, 5e-4, 1e-4
COCO_NAMES = {"METEOR": "METEOR", "ROUGE_L": "ROUGE-L", "CIDEr": "CIDEr", "S*m": "S*m",
              **{f"Bleu_{order}": f"BLEU-{order}" for order in range(1, 5)}}  # fmt: skip
RULES_OF_24 = {"earthdial_recall": "earthdial", "geochat_scene": "nospace", "rscovlm_contain": "contain",
               "vhm_pred_in_gt": "vhm", "teochat_exact": "teochat", "rsthinker_vqa": "rsthinker-vqa",
               "rsthinker_scene": "rsthinker-scene"}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One run of the command, and what expected.json says of it: name in the output -> number."""

    folder: str
    file: str
    suite: str
    protocol: str
    wanted: Callable[[Any], Numbers]
    tolerance: float = EXACT
    raw: bool = False
    java: bool = False

    def __str__(self) -> str:
        return f"{self.folder[:2]}-{self.file.split('.')[0]}-{self.protocol or 'default'}{'-raw' if self.raw else ''}"


def table(title: str, counts: dict[str, list[float]], **names: str) -> Numbers:
    """Give right / n of a table in expected.json, whose last column is rounded."""
    return {f"{title}/{names.get(name, name)}": right / n for name, (right, n, *_) in counts.items()}


def coco(scores: Numbers) -> Numbers:
    return {COCO_NAMES[name]: value for name, value in scores.items() if name != "n"}


def levir(expected: Any, variant: str) -> Numbers:
    wanted = coco(expected["scores"][f"all|{variant}"])
    for part, title in (("change", "change pairs"), ("nochange", "no change pairs")):
        subset = expected["scores"].get(f"{part}|{variant}", {})
        wanted |= {f"{title}/{name}": value for name, value in coco(subset).items()}
    told = expected["change_cls(DeltaVLM test-cls.ipynb rule)"]
    return wanted | {f"change {name}": value for name, value in told.items()}


def lrsvqa(expected: Any) -> Numbers:
    wanted = {}
    for source, scores in expected["scores_official"].items():
        wanted |= table("accuracy by source and category",
                        {f"{source} / {name}": counts for name, counts in scores["per_category"].items()})  # fmt: skip
        wanted |= {f"{name} {source}": scores[name] / 100 for name in ("AA", "OA")}
    return wanted


def stripped(expected: Any) -> Numbers:
    scores, sources = expected["rscovlm_rule(strip and strip dots first)"], {"GLH": "GLH-Bridge"}
    wanted = {"OA": scores["overall acc"], "AA over pooled categories": scores["Average Acc"]}
    for name, value in scores.items():
        kind, _, place = name.rstrip(")").partition(" (")
        if place.startswith("Source"):
            source = place.removeprefix("Source ")
            wanted[f"{'OA' if kind == 'Overall Acc' else 'AA'} {sources.get(source, source)}"] = value
        elif place.startswith("Task"):
            wanted[f"accuracy by category/{place.removeprefix('Task ')}"] = value
    return wanted


def region(expected: Any) -> Numbers:
    scores, parts = expected["scores"], {"P": " precision", "R": " recall", "F": ""}
    wanted = {f"ROUGE-{name}{word}": scores[f"R{name}_{part}"] for name in "1L" for part, word in parts.items()}
    return wanted | {"METEOR": scores["METEOR_nltk"]}


def places(expected: Any) -> Numbers:
    names = {"Hamming Loss": "Hamming loss", "Precision": "precision", "Recall": "recall", "F1 Score": "F1",
             "Jaccard Similarity": "Jaccard", "Subset Accuracy": "subset accuracy"}  # fmt: skip
    return {f"loc: {kind[:-1]} {names[name]}": value
            for kind, scores in expected["loc"].items() for name, value in scores.items()}  # fmt: skip


def cdvqa(expected: Any, *, plain: bool) -> Numbers:
    if plain:
        return {"OA": expected["OA"]}
    return table("accuracy by type", expected["per_type"]) | {"OA": expected["OA"], "AA": expected["AA_vista(/8)"]}


SCENE_RULES = {"nospace": "geochat_rule", "contain": "rscovlm_contain", "vhm": "vhm_rule", "earthdial": "earthdial_off"}

CASES = (
    Case(RSICD, "rsicd_test_preds_refs.json.gz", "caption-rsicd", "coco", lambda e: coco(e["scores"]), COCO, java=True),
    Case(RSVQA, "RSVQA_LR.jsonl.gz", "rsvqa-lr", "exact per type",
         lambda e: table("accuracy by type", e["plain_case_insensitive_exact_match"])
         | {"OA without count and area": e["exact_match_OA_excl_count"]}),
    Case(RSVQA, "RSVQA_LR.jsonl.gz", "rsvqa-lr", "earthdial",
         lambda e: {f"accuracy by type/{name}": value for name, value in e["scores_official"].items()}, FOUR_DIGITS),
    *(
        Case(SCENES, f"{name}.jsonl.gz", "geochat-scene", protocol,
             lambda e, name=name, key=key: {"accuracy": next(v for k, v in e["datasets"][name].items()
                                                             if k.startswith(key))})
        for name in ("AID", "UCM", "WHU_19") for protocol, key in SCENE_RULES.items()
    ),
    Case(REGIONS, "GeoChat.jsonl.gz", "geochat-region", "", region, NLTK_METEOR),
    *(
        Case(CHANGES, f"{name}.jsonl", suite, "earthdial", lambda e, name=name: {
            key.removesuffix("_nltk"): value for key, value in e["datasets"][name].items()}, NLTK_METEOR)
        for name, suite in (("Dubai_CC", "dubai"), ("LEVIR_MCI", "levircc"))
    ),
    Case(LEVIR, "levircc_test_preds_refs.json.gz", "levircc", "", lambda e: levir(e, "ids"), COCO, java=True),
    Case(LEVIR, "levircc_test_preds_refs.json.gz", "levircc", "words", lambda e: levir(e, "words"), COCO, java=True),
    Case(LRSVQA, "predictions.jsonl.gz", "lrsvqa", "WordNet > .8, AA", lrsvqa, FOUR_DIGITS),
    Case(LRSVQA, "predictions.jsonl.gz", "lrsvqa", "stripped", stripped),
    Case(CDVQA, "val_predictions.jsonl.gz", "cdvqa", "vista AA/8", lambda e: cdvqa(e, plain=False)),
    Case(CDVQA, "val_predictions.jsonl.gz", "cdvqa", "", lambda e: cdvqa(e, plain=True)),
    Case(XLRS, "docs.json", "xlrs", "", lambda e: {"micro": e["micro"], "macro": e["macro"]}
         | table("accuracy by task", e["per_task"])),
    Case(CHANGECHAT, "preds_gt.json", "changechat", "", lambda e: {
        f"count: {kind} {name}": value for kind, scores in e["count"].items() for name, value in scores.items()}),
    Case(CHANGECHAT, "preds_gt.json", "changechat", "six sub-scores", places, FOUR_DIGITS),
    Case(LITE, "predictions.json", "xlrs", "", lambda e: {"micro": e["accuracy_17"]["lmms_on_<answer>_payload"]}),
    Case(LITE, "predictions.json", "xlrs", "", lambda e: {"micro": e["accuracy_17"]["lmms_on_raw_text"]}, raw=True),
    Case(LITE, "predictions.json", "xlrs", "xlrs-intersection",
         lambda e: {"micro": e["accuracy_17"]["geoeyes_on_payload"]}),
    Case(LITE, "predictions.json", "xlrs", "intersection",
         lambda e: {"micro": e["accuracy_17"]["geoeyes_on_raw_text"]}, raw=True),
)  # fmt: skip
TABLES = {CLASSES, LETTERS, MATCHERS, RSRAG}


@pytest.fixture(scope="session")
def golden(repository: Path) -> Path:
    folder = repository.parent / "shared" / "eval_golden"
    if not folder.is_dir():
        pytest.skip("needs the published predictions in ../shared/eval_golden")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Numbers:
    """Run the command; give every number of its last line, those of tables as `title/row`."""
    main(["score", *map(str, arguments)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    numbers = {name: one["value"] for name, one in found["scores"].items()}
    return numbers | {
        f"{title}/{row}": one["value"] for title, rows in found["tables"].items() for row, one in rows.items()
    }


def expected(golden: Path, folder: str) -> Any:
    return json.loads((golden / folder / "expected.json").read_text(encoding="utf-8"))


def marks(case: Case) -> list[pytest.MarkDecorator]:
    needs = pytest.mark.skipif(shutil.which("java") is None, reason="PTB tokenizer and METEOR 1.5 need Java")
    return [needs, pytest.mark.slow] if case.java else []


@pytest.mark.parametrize("case", [pytest.param(case, marks=marks(case), id=str(case)) for case in CASES])
def test_published_predictions_get_their_published_scores(
    golden: Path, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    options = [*(["--protocol", case.protocol] if case.protocol else []), *(["--raw"] if case.raw else [])]
    found = run(capsys, golden / case.folder / case.file, "--suite", case.suite, *options)
    wanted = case.wanted(expected(golden, case.folder))
    assert wanted
    assert {name: found.get(name) for name in wanted} == pytest.approx(wanted, abs=case.tolerance)


@pytest.mark.parametrize("model", ["geochat", "llama"])
def test_rsrags_table_of_captions_is_ours_cut_off_after_four_digits(
    golden: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    with next((golden / RSRAG).glob("vqa_*.csv")).open(newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["model"] == model)
    found = run(
        capsys, golden / RSRAG / f"vqa_RSWK_answer_{model}.jsonl.gz", "--suite", "caption", "--protocol", "rsrag"
    )
    names = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr"]
    assert {name: f"{int(found[name] * 10_000) / 10_000:.4f}" for name in names} == {name: row[name] for name in names}


@pytest.mark.parametrize("model", ["geochat", "janus"])
def test_rsrags_table_of_classes_is_ours(golden: Path, capsys: pytest.CaptureFixture[str], model: str) -> None:
    with next((golden / RSRAG).glob("cls_*.csv")).open(newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["model"] == model)
    found = run(capsys, golden / RSRAG / f"cls_RSWK_answer_{model}.jsonl.gz", "--suite", "rsrag-cls")
    assert f"{int(found['accuracy'] * 10_000) / 10_000:.4f}" == row["Accuracy"]
    for part in row["Per-Class Accuracy"].split(" | "):
        name, _, value = part.partition(":")
        assert found[f"accuracy by class/{name}"] == pytest.approx(float(value), abs=1e-9)


def test_rsvqas_classes_are_the_official_table(golden: Path) -> None:
    for key, rows in expected(golden, CLASSES)["answer_class"].items():
        ranged = key.startswith("LR")
        assert {answer: name_class(answer, ranged_counts=ranged) for answer in rows} == rows


def test_letters_are_those_of_three_repositories(golden: Path) -> None:
    content = expected(golden, LETTERS)
    choices = content["mme_choices"]
    for row in content["rows"]:
        found = read_xlrs(row["text"]), read_mme(row["text"], choices), read_mme_lmms(row["text"])
        assert found == (row["xlrs_lmms_eval"], row["mme_official(choices given)"], row["mme_lmms_eval"]), row["text"]


def test_matches_are_those_of_eight_repositories(golden: Path) -> None:
    wordnet = load_wordnet()
    for row in expected(golden, MATCHERS)["rows"]:
        target, said = row["gt"], row["pred"]
        for key, name in RULES_OF_24.items():
            assert MATCHES[name][0](target, said) == float(row[key]), (key, target, said)
        assert bool(match_synonym(target.lower(), said.lower(), wordnet)) == row["lrsvqa_official"], (target, said)
        assert apply_vrsbench(target, said) == row["vrsbench_vqa_rule"], (target, said)


@pytest.mark.parametrize(("protocol", "key"), [("lmms", "exact_set"), ("intersection", "set_intersection")])
def test_letters_of_a_published_run_by_both_xlrs_rules(
    golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: str, key: str
) -> None:
    rows = json.loads((golden / LITE / "predictions.json").read_text())["tbv_letters_first_32_of_ADI"]
    (tmp_path / "tbv.json").write_text(json.dumps([{"gt": row["gt"], "pred": row["letters"]} for row in rows]))
    wanted = next(value for name, value in expected(golden, LITE)["tbv_32"].items() if name.startswith(key))
    found = run(capsys, tmp_path / "tbv.json", "--suite", "xlrs", "--protocol", protocol)
    assert found["micro"] == pytest.approx(wanted)


def test_letters_of_the_intersection_family(golden: Path) -> None:
    rows = json.loads((golden / LITE / "predictions.json").read_text())["rows"]
    for row, wanted in zip(rows, expected(golden, LITE)["rows"], strict=True):
        assert read_intersection(row["prediction"]) == wanted["geoeyes_letters_on_raw"]


def test_every_golden_folder_is_reproduced_by_a_test(golden: Path) -> None:
    on_geometry = {geometry.OBB, geometry.HBB, geometry.MASKS, geometry.DOTA, geometry.RETRIEVAL, geometry.CLASSES}
    there = {path.name for path in golden.iterdir() if (path / "expected.json").is_file()}
    assert there - {case.folder for case in CASES} - TABLES - on_geometry == {"26_data_dior_rsvg_splits"} & there
