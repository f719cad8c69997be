"""Captions: the numbers of pycocoevalcap itself, and those of a published set of predictions."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest

from eval_suites.measure import score_measure
from eval_suites.rules.spice import JARS, score_spice
from eval_suites.score_caption import bleu_measures, score_captions, score_cider
from tests.eval_suites.made_cases import make_case
from vlm.errors import InputError

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="the PTB tokenizer needs Java")
REFERENCES = {
    "a": ["many planes are parked near a terminal", "some planes are in an airport"],
    "b": ["a river goes through the forest", "a river is between two green forests", "a green river"],
    "c": ["two tennis courts", "two courts near a road"],
}


@pytest.mark.parametrize(
    "found",
    [
        {"a": ["some planes are parked in an airport"], "b": ["a river in a forest"], "c": ["two tennis courts"]},
        {"a": ["planes"], "b": [""], "c": ["a b c d e f g h i j k l m n o p"]},
        {"a": [""], "b": [""], "c": [""]},
    ],
)
def test_bleu_is_pycocoevalcaps(found: dict[str, list[str]]) -> None:
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu")
    expected, _ = bleu.Bleu(4).compute_score(REFERENCES, found, verbose=0)
    ours = [score_measure(measure, list(REFERENCES)).value for measure in bleu_measures(REFERENCES, found)]
    assert ours == pytest.approx(expected, abs=1e-12)


@needs_java
def test_captions_are_tokenised_before_they_are_compared() -> None:
    pytest.importorskip("pycocoevalcap")
    cases = [make_case(n, answers=answers) for n, answers in enumerate(REFERENCES.values())]
    plain = ["some planes are in an airport", "a green river", ""]
    scored = score_captions(cases, plain, training={})
    dressed = score_captions(cases, ["Some planes are in an airport.", "A green, river!", ""], training={})
    assert [row.score for row in scored.rows] == [row.score for row in dressed.rows]
    assert [row.unparsed for row in scored.rows] == [False, False, True]
    assert scored.rows[2].score == 0
    assert scored.rows[0].parsed == "some planes are in an airport"


@needs_java
def test_published_predictions_get_their_published_scores(repository: Path) -> None:
    pytest.importorskip("pycocoevalcap")
    folder = repository.parent / "shared" / "eval_golden" / "01_caption_coco_rsicd_real"
    if not folder.is_dir():
        pytest.skip("needs the published predictions in ../shared/eval_golden")
    with gzip.open(folder / "rsicd_test_preds_refs.json.gz", "rt", encoding="utf-8") as file:
        rows = json.load(file)
    expected = json.loads((folder / "expected.json").read_text())["scores"]
    cases = [make_case(n, answers=row["references"]) for n, row in enumerate(rows)]
    scored = score_captions(cases, [row["prediction"] for row in rows], training={})
    groups = [case.group for case in cases]
    found = {measure.name: score_measure(measure, groups).value for measure in scored.measures}
    assert found["CIDEr"] == pytest.approx(expected["CIDEr"], abs=2e-6)
    for order in range(1, 5):
        assert found[f"BLEU-{order}"] == pytest.approx(expected[f"Bleu_{order}"], abs=2e-6)


def test_cider_is_ten_for_the_only_reference() -> None:
    pytest.importorskip("pycocoevalcap")
    references = {key: sentences[:1] for key, sentences in REFERENCES.items() if key != "c"}
    assert score_cider(references, references) == pytest.approx([10.0, 10.0])


def test_without_java_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocoevalcap")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="needs Java"):
        score_captions([make_case(0, answers=["a road"])], ["a road"], training={})


JAVA = """#!/usr/bin/env python3
import json, sys
place = sys.argv.index("-out")
asked = json.load(open(sys.argv[place - 1]))
assert sys.argv[1:4] == ["-Xmx8G", "-jar", "spice-1.0.jar"]
rows = [{"image_id": one["image_id"], "scores": {"All": {"f": 0.25 if one["test"] else float("nan")}}} for one in asked]
json.dump(rows[::-1][: 2], open(sys.argv[place + 1], "w"))
"""


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a pycocoevalcap with CoreNLP, and a program called java that gives scores in the jar's form."""
    (tmp_path / "spice" / "lib").mkdir(parents=True)
    for name in JARS:
        (tmp_path / "spice" / "lib" / name).touch()
    (tmp_path / "java").write_text(JAVA)
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("pycocoevalcap.__path__", [str(tmp_path)])
    return tmp_path


def test_spice_is_read_by_caption_and_nothing_said_is_0(jars: Path) -> None:
    """The jar answers in any order, gives NaN for a caption without a graph, and leaves some out."""
    assert score_spice(["left out", "a b", ""], [["a"], ["b", "c"], ["c"]]) == [0, 0.25, 0]


def test_what_spice_lacks_is_said_with_what_to_do(jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (jars / "java").write_text("#!/bin/sh\necho 'no memory left' >&2; exit 1\n")
    with pytest.raises(InputError, match="SPICE's jar gave up: no memory left; see that"):
        score_spice(["a"], [["a"]])
    (jars / "spice" / "lib" / JARS[1]).unlink()
    with pytest.raises(InputError, match=r"lacks stanford-corenlp-3.6.0-models.jar: download http.*protocol coco"):
        score_spice(["a"], [["a"]])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="SPICE needs Java, and there is no `java` on the PATH"):
        score_spice(["a"], [["a"]])
