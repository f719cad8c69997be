"""Zero-shot scenes by the towers of a checkpoint: which classes there are, what is asked, and who cannot answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_suites.__main__ import main
from eval_suites.models.find import ModelOptions, find_towers
from eval_suites.models.towers import TowerAnswerer, Towers
from eval_suites.retrieve import expect_random
from eval_suites.rules.zeroshot import SKYSCRIPT_TEMPLATES, average_descriptions, build_prompts
from eval_suites.suites import BENCHMARKS
from eval_suites.suites.zeroshot import name_classes
from tests.eval_suites.made_benchmarks import make_zeroshot
from tests.eval_suites.made_files import write_picture
from tests.eval_suites.made_sentences import make_captions
from vlm.errors import DataError


@pytest.fixture(scope="module")
def towers() -> Towers:
    return Towers()


def questions(root: Path) -> Any:
    benchmark = BENCHMARKS["zeroshot"]
    return benchmark.ask(benchmark.open(root))[0].cases


def test_classes_are_called_by_their_folders_or_lists(tmp_path: Path) -> None:
    assert name_classes(["aGrass", "bRiverLake"]) == {"aGrass": "grass", "bRiverLake": "river lake"}
    assert name_classes(["Airport", "dense_residential"])["dense_residential"] == "dense residential"
    make_zeroshot(tmp_path / "folders")
    assert [case.target for case in questions(tmp_path / "folders")] == ["grass"] * 2 + ["river lake"] * 2
    for name in ("Airport", "BareLand"):
        write_picture(tmp_path / "lists" / "RSICD_images" / f"{name}_1.jpg")
        (tmp_path / "lists" / "txtclasses_rsicd").mkdir(exist_ok=True)
        (tmp_path / "lists" / "txtclasses_rsicd" / f"{name}.txt").write_text(f"{name}_1.jpg\n")
    cases = questions(tmp_path / "lists")
    assert [(case.target, Path(case.images[0]).exists()) for case in cases] == [("airport", True), ("bare land", True)]
    with pytest.raises(DataError, match="no two folders of images"):
        questions(tmp_path / "lists" / "RSICD_images")


def test_the_nearest_class_is_named(towers: Towers, tmp_path: Path) -> None:
    make_zeroshot(tmp_path)
    cases = questions(tmp_path)
    answerer = TowerAnswerer(towers, protocol="skyscript")
    images = towers.embed_images([case.images[0] for case in cases])
    texts = towers.embed_texts([text for texts in build_prompts(("grass", "river lake"), SKYSCRIPT_TEMPLATES)
                                for text in texts])  # fmt: skip
    classes = average_descriptions(texts.reshape(2, 2, -1), each_normalised=True)
    wanted = [("grass", "river lake")[place] for place in np.argmax(images @ classes.T, axis=1)]
    assert answerer.ask(cases, max_new_tokens=1, blind=False) == wanted
    assert len(set(answerer.ask(cases, max_new_tokens=1, blind=True))) == 1
    assert answerer.digest != TowerAnswerer(towers, protocol="rs5m").digest


def test_a_run_by_the_towers_stands_beside_its_baselines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_zeroshot(tmp_path)
    main(["run", "Zero-Shot", "--data", str(tmp_path), "--protocol", "rs5m", "--out", str(tmp_path / "out")])
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1]).values()
    assert told["n"] == 4 and len(told["baselines"]) == 3
    result = json.loads((tmp_path / "out" / "zeroshot" / "result.json").read_text())
    assert result["published"] == "rs5m" and result["model"]["descriptions"] == "rs5m"
    assert result["scores"]["accuracy"]["value"] in (0, 0.25, 0.5, 0.75, 1)
    assert (tmp_path / "out" / "zeroshot" / "report.html").is_file()


def test_retrieval_by_the_towers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_captions(tmp_path, file="dataset_rsicd.json", images="RSICD_images")
    asked = ["run", "retrieval-rsicd", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    main(asked)
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1]).values()
    assert told == {"mR": pytest.approx((0.5 + 2) / 3, abs=0.34), "n": 2, "baselines": told["baselines"]}
    kept = tmp_path / "out" / "retrieval-rsicd" / "embeddings.npz"
    made = kept.stat().st_mtime_ns
    main([*asked, "--protocol", "clip_benchmark"])
    assert kept.stat().st_mtime_ns == made
    capsys.readouterr()
    main(["score", str(kept), "--suite", "retrieval-rsicd", "--protocol", "clip_benchmark"])
    scored = json.loads(capsys.readouterr().out.splitlines()[-1])["scores"]["mR"]["value"]
    assert json.loads((kept.parent / "result.json").read_text())["scores"]["mR"]["value"] == scored


def test_a_random_ranking_is_what_many_draws_give() -> None:
    counts, draw = [5, 5, 1, 5], np.random.default_rng(0)
    owners = np.repeat(np.arange(len(counts)), counts)
    found = []
    for _ in range(2000):
        order = owners[np.argsort(draw.random((len(counts), len(owners))), axis=1)]
        forth = [np.mean([(order[n, :step] == n).any() for n in range(len(counts))]) for step in (1, 5, 10)]
        found.append(np.mean([*forth, 1 / 4, 1, 1]))
    assert expect_random(counts)["mR"]["value"] == pytest.approx(np.mean(found), abs=0.005)


def test_an_endpoint_has_no_towers() -> None:
    with pytest.raises(DataError, match="gives no embeddings"):
        find_towers("http://127.0.0.1:1/v1", ModelOptions(), protocol="rs5m")
