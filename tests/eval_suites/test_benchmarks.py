"""Every benchmark reads a tiny copy in its official layout and is scored by its rules: perfect is best, empty worst."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_suites.__main__ import main
from eval_suites.masks import FILES
from eval_suites.measure import Measure
from eval_suites.models.fakes import FakeAnswerer
from eval_suites.pages import pick_rows
from eval_suites.probes import PROBES
from eval_suites.rules.registry import RULES, rules_of
from eval_suites.rules.shape_values import quads_of
from eval_suites.suites import BENCHMARKS, FILES_ALONE, LABELLED, SUITES, Benchmark
from eval_suites.suites.benchmark import Questions
from eval_suites.suites.geochat_refer import write_hundredths
from eval_suites.suites.xlrs import unpack
from tests.eval_suites.made_benchmarks import MAKERS
from vlm.errors import DataError, NadirError
from vlm.geometry import OBB, iou
from vlm.geometry.shapes import Polygon

ASKED = [name for name, benchmark in BENCHMARKS.items() if not benchmark.refusal]
OTHER_TARGETS = {("xlrs", "grounding"), ("vleo", "vleo-grounding")}
SCORED = [(name, rule.protocol) for name in ASKED for rule in rules_of(name)]
JAVA = {"coco", "coco-spice", "ids", "words", "sub-scores"}
"""Protocols that start Java, which takes long; the golden cases of captions run them."""
SCORED = [
    (name, protocol) for name, protocol in SCORED if (name, protocol) not in OTHER_TARGETS and protocol not in JAVA
]
NEAR = 0.04
"""What the grid of a dialect may cost a perfect answer on images of 32 px."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make each benchmark once; give its folder by name."""
    roots: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in roots:
            roots[name] = tmp_path_factory.mktemp(name)
            MAKERS[name](roots[name])
        return roots[name]

    return get


def read(name: str, root: Path) -> tuple[Benchmark, Questions]:
    benchmark = BENCHMARKS[name]
    return benchmark, benchmark.ask(benchmark.open(root))[1]


def headline(
    benchmark: Benchmark, questions: Questions, outputs: list[str | None], protocol: str, dialect: str
) -> float:
    suite = benchmark.suite(questions, protocol=protocol)
    scored = suite.scorer(questions.cases, outputs, training=questions.training, dialect=dialect)
    assert len(scored.rows) == len(questions.cases)
    measure = scored.find(suite.headline)
    return float(measure.combine(measure.parts.sum(axis=0))) if isinstance(measure, Measure) else measure.value


def test_every_benchmark_has_a_maker_and_every_one_that_is_asked_a_rule() -> None:
    assert set(MAKERS) == set(ASKED)
    assert all(probe in PROBES for benchmark in BENCHMARKS.values() for probe in benchmark.probes)


@pytest.mark.parametrize("name", ASKED)
def test_official_files_become_cases(name: str, made: Any) -> None:
    benchmark, questions = read(name, made(name))
    if benchmark.prepare:
        benchmark.prepare(benchmark.open(made(name)), questions.cases)
    for case in questions.cases:
        assert case.images and all(Path(path).exists() for path in case.images), case
        assert case.instruction and (case.answers or case.form), case
        assert not case.options or len(case.options) > 1
        assert len({*case.answers}) or case.truth is not None or case.regions


@pytest.mark.parametrize(("name", "protocol"), SCORED)
def test_perfect_is_best_and_nothing_is_worst(name: str, protocol: str, made: Any) -> None:
    """The order of the cases is irrelevant too, and a missing answer stays in the denominator."""
    benchmark, questions = read(name, made(name))
    (rule,) = [one for one in rules_of(name) if one.protocol == protocol]
    masks = any(case.form == "mask" for case in questions.cases)
    dialect = FILES if masks and isinstance(questions.cases[0].truth, str) else "nadir"
    perfect: list[str | None] = [
        *FakeAnswerer("perfect", dialect=dialect).ask(questions.cases, max_new_tokens=9, blind=False)
    ]
    empty: list[str | None] = [""] * len(perfect)
    missing: list[str | None] = [None] * len(perfect)
    best = headline(benchmark, questions, perfect, protocol, dialect)
    if rule.headline not in ("CIDEr", "S*m", "mF1", "ROUGE-L"):
        assert best == pytest.approx(rule.best, abs=0.2 if masks and dialect != FILES else NEAR)
    assert best > 0.9 or rule.headline in rule.errors
    turned = replace(questions, cases=questions.cases[::-1])
    assert headline(benchmark, turned, perfect[::-1], protocol, dialect) == pytest.approx(best, abs=1e-9)
    if rule.oddity or rule.headline in rule.errors:
        assert headline(benchmark, questions, missing, protocol, dialect) < best or rule.headline in rule.errors
        return
    assert headline(benchmark, questions, empty, protocol, dialect) == pytest.approx(rule.empty, abs=1e-6)
    lost = headline(benchmark, questions, missing, protocol, dialect)
    half = headline(benchmark, questions, [perfect[0], *missing[1:]], protocol, dialect)
    assert (lost < best and half < best) or rule.headline in rule.errors


@pytest.mark.parametrize("name", ["xlrs", "dior-rsvg", "change-mask"])
def test_a_run_from_the_command_line_leaves_its_page_and_its_line(
    name: str, made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", name, "--data", str(made(name)), "--out", str(tmp_path), "--model", "fake:perfect", "--shuffled"]
    main([*run, "--probes", "all", "--protocol", "official"])
    folder = tmp_path / name
    result = json.loads((folder / "result.json").read_text())
    assert result["n"] == result["of"] > 1
    assert {"random answer", "everything"} & set(result["baselines"])
    assert "shuffled (the images of another case)" in result["baselines"]
    assert {"unparsed"} <= set(result["scores"])
    survived = {name: value["value"] for name, value in result["probes"].items() if value["n"]}
    steady = survived.keys() - ({"flip", "turn", "shift"} if name == "change-mask" else set())
    assert steady and all(survived[probe] == 1 for probe in steady), survived
    last = json.loads(capsys.readouterr().out.splitlines()[-1])[name]
    assert last["n"] == result["n"] and last[result["headline"]] == result["scores"][result["headline"]]["value"]
    assert last["baselines"].keys() == result["baselines"].keys()
    page = (folder / "report.html").read_text()
    assert all(f"Ties of {tie['measure']}: " in page for tie in result["ties"])
    assert page.count("data:image/jpeg;base64,") >= 2
    assert (folder / "leaderboard.md").read_text().splitlines()[-1].startswith(f"| {name} |")


def test_a_folder_without_the_files_is_refused_with_what_helps(tmp_path: Path) -> None:
    for name in ASKED:
        benchmark = BENCHMARKS[name]
        with pytest.raises(DataError, match=r"needs .*; get it from"):
            benchmark.ask(benchmark.open(tmp_path))
        with pytest.raises(DataError, match="is no folder"):
            benchmark.open(tmp_path / "nowhere")


def test_missing_images_are_named_or_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MAKERS["mme-rs"](tmp_path / "data")
    (tmp_path / "data" / "remote_sensing" / "3.png").unlink()
    run = ["run", "mme-rs", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--model", "fake:perfect"]
    with pytest.raises(SystemExit):
        main(run)
    assert "1 images are missing, such as" in caplog.text
    main([*run, "--skip-missing"])
    assert json.loads((tmp_path / "out" / "mme-rs" / "result.json").read_text())["n"] == 4


def test_another_protocol_scores_the_same_answers(made: Any, tmp_path: Path) -> None:
    run = ["run", "xlrs", "--data", str(made("xlrs")), "--out", str(tmp_path), "--model", "fake:random", "--limit", "4"]
    main(run)
    kept = (tmp_path / "xlrs" / "samples.jsonl").read_text()
    main([*run, "--protocol", "intersection"])
    result = json.loads((tmp_path / "xlrs" / "result.json").read_text())
    assert result["protocol"].startswith("intersection")
    said = [json.loads(line)["output"] for line in (tmp_path / "xlrs" / "samples.jsonl").read_text().splitlines()]
    assert said == [json.loads(line)["output"] for line in kept.splitlines()]
    with pytest.raises(SystemExit):
        main([*run, "--protocol", "best"])


def test_packed_images_are_unpacked_once_and_only_those_that_are_asked(made: Any) -> None:
    benchmark, questions = read("xlrs", made("xlrs"))
    folder = benchmark.open(made("xlrs"))
    pairs = [case for case in questions.cases if len(case.images) == 2]
    assert len(pairs) == 2
    shutil.rmtree(folder.root / "images", ignore_errors=True)
    unpack(folder, pairs[:1])
    assert len(list((folder.root / "images").iterdir())) == 2
    unpack(folder, questions.cases)
    assert len(list((folder.root / "images").iterdir())) == 8


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    MAKERS["rrsisd"](tmp_path)
    (tmp_path / "rrsisd" / "refs(unc).p").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(NadirError, match="only plain values are read"):
        read("rrsisd", tmp_path)


def test_what_has_no_words_says_how_it_is_scored(tmp_path: Path) -> None:
    benchmark = BENCHMARKS["retrieval-rsitmd"]
    with pytest.raises(DataError, match="eval_suites score FILE --suite retrieval-rsitmd"):
        benchmark.ask(benchmark.open(tmp_path))


def test_describe_tells_all_protocols_and_published_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    for name, suite in {**FILES_ALONE, **BENCHMARKS}.items():
        main(["describe", name])
        told = capsys.readouterr().out
        assert rules_of(name)
        assert all(f"  {rule.protocol}: headline {rule.headline}; {rule.source}" in told for rule in rules_of(name))
        assert f"from      {suite.get}" in told
        assert "data      " in told
        alone = name in FILES_ALONE
        assert (f"score FILE --suite {name}; no model is asked" in told) == alone
    main(["describe", "dior-rsvg"])
    assert "LPVA: Pr@.5 0.8227" in capsys.readouterr().out
    main(["describe", "rsicd-scene"])
    assert "python -m data_engine.cases rsicd-scene" in capsys.readouterr().out


def test_list_names_every_suite_that_has_a_rule_and_says_how_it_is_scored(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    main(["list"])
    own, labelled, run, alone = (part.splitlines()[1:] for part in capsys.readouterr().out.split("\n\n"))
    named = [{line.split()[0] for line in lines} for lines in (own, run, alone)]
    assert named[0] == set(SUITES)
    assert [line.split()[0] for line in labelled] == list(LABELLED)
    assert named[1] == set(BENCHMARKS)
    assert named[1] | named[2] == {suite for suite, _ in RULES}
    assert not named[1] & named[2]
    for verb in (["describe", "dior-rvsg"], ["run", "xbd", "--data", str(tmp_path)]):
        with pytest.raises(SystemExit):
            main(verb)
    assert "no suite 'dior-rvsg' (did you mean dior-rsvg?): known are rsicd-scene" in caplog.text
    assert "xbd is scored from files alone: python -m eval_suites score FILE --suite xbd" in caplog.text


def test_what_scoring_lacks_is_said_before_anything_is_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MAKERS["levircc"](tmp_path / "data")
    (tmp_path / "data" / "WORDMAP_MADE.json").unlink()
    run = ["run", "levircc", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--model", "fake:empty"]
    with pytest.raises(SystemExit):
        main(run)
    assert "levircc by the protocol ids needs WORDMAP_*.json in its folder" in caplog.text
    assert not (tmp_path / "out" / "levircc" / "samples.jsonl").exists()


def test_a_judge_stands_in_the_name_of_the_protocol(made: Any, tmp_path: Path) -> None:
    run = ["run", "vrsbench-vqa", "--data", str(made("vrsbench-vqa")), "--out", str(tmp_path), "--model", "fake:random"]
    main([*run, "--judge", "stub"])
    result = json.loads((tmp_path / "vrsbench-vqa" / "result.json").read_text())
    assert result["published"] == "rule-only (judge stub)"
    main(["report", str(tmp_path), str(tmp_path / "page.md")])
    assert "| [vrsbench-vqa](#vrsbench-vqa) | 4 |" in (tmp_path / "page.md").read_text()


def test_the_page_shows_each_row_once_and_no_image_twice_in_a_section() -> None:
    rows = [{"id": f"{n}", "group": f"g{n // 2}", "score": n / 10} for n in range(20)]
    picked = pick_rows(rows, lower_is_better=False, each=3)
    assert [row["id"] for row in picked["Best"]] == ["19", "17", "15"]
    assert [row["id"] for row in picked["Worst"]] == ["0", "2", "4"]
    shown = [row["id"] for some in picked.values() for row in some]
    assert len(set(shown)) == 9
    assert [row["id"] for row in pick_rows(rows, lower_is_better=True, each=1)["Best"]] == ["0"]


@given(
    centre=st.tuples(st.floats(40, 60), st.floats(40, 60)),
    sides=st.tuples(st.floats(20, 60), st.floats(20, 60)),
    angle=st.floats(-90, 89.9),
)
def test_oriented_boxes_in_hundredths_lie_where_they_were(
    centre: tuple[float, float], sides: tuple[float, float], angle: float
) -> None:
    """EarthDial's own reading of the five numbers gives the box back, but for rounding to hundredths and degrees."""
    shape = OBB(*centre, *sides, angle)
    numbers = [float(one) for one in json.loads(write_hundredths(shape, (100, 100)))]
    assert all(0 <= one <= 100 for one in numbers) and 0 <= numbers[4] <= 90
    corners = quads_of([tuple(numbers)])[0]
    assert iou(Polygon(tuple(map(tuple, corners))), shape) > 0.75
