"""A run: every case once, resumed after a cut, started anew for another model, each number beside its baselines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval_suites.__main__ import main
from eval_suites.baselines import measure_median
from eval_suites.cases import Case, CaseFile, load_cases, pick_cases
from eval_suites.compare import load_runs
from eval_suites.leaderboard import headline_words
from eval_suites.measure import score_measure
from eval_suites.report import insert_headlines, is_clear, load_results, render_scores
from eval_suites.run import RunConfig, load_outputs, run_suite
from eval_suites.suites import SUITES, find_suite
from tests.eval_suites.made_cases import FakeAnswerer, make_case
from vlm.errors import DataError, OutputError
from vlm.geometry import HBB, OBB, Mask, to_mask

FACTS = {"commit": "abc", "machine": "a laptop"}
OUTPUTS = {"rsicd-caption": "a road", "hit-uav-count": "3", "levir-change-mask": "<box>[[0,0,500,500]]</box>"}


def make_file(suite: str = "rsicd-scene", *, count: int = 8) -> CaseFile:
    cases = tuple(
        make_case(n, answers=["beach" if n % 2 else "airport"], category="scene", group=f"image-{n % 4}")
        for n in range(count)
    )
    return CaseFile(suite, "val", {"scene": {"airport": 5, "beach": 5, "port": 1}}, cases, "digest")


def right_when_seen(case: Case, blind: bool) -> str:
    return "port" if blind else case.target


def run(out: Path, answerer: FakeAnswerer, file: CaseFile, **config: Any) -> dict[str, Any]:
    suite = find_suite(file.suite)
    return run_suite(suite, file, answerer, out, RunConfig(**config), facts=FACTS, track=lambda *_: None)


def test_a_run_asks_each_case_once_and_each_blind_question_once(tmp_path: Path) -> None:
    answerer = FakeAnswerer(right_when_seen)
    result = run(tmp_path, answerer, make_file(), batch=3)
    seen = [case for case, blind in answerer.asked if not blind]
    assert sorted(seen) == [f"case/{n}" for n in range(8)]
    assert len(answerer.asked) - len(seen) == 1
    assert result["scores"]["accuracy"]["value"] == 1
    blind, majority = result["baselines"].values()
    assert blind["accuracy"]["value"] == 0
    assert majority["accuracy"]["value"] == 0.5
    assert result["gain_over_blind"]["value"] == 1
    rows = [json.loads(line) for line in (tmp_path / "rsicd-scene" / "samples.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"case/{n}" for n in range(8)]
    assert rows[0].keys() >= {"prompt", "output", "parsed", "target", "score", "explanation"}
    assert result == json.loads((tmp_path / "rsicd-scene" / "result.json").read_text())


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", FakeAnswerer(right_when_seen), make_file(), batch=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, FakeAnswerer(right_when_seen, stop_after=4), make_file(), batch=2)
    path = tmp_path / "rsicd-scene" / "samples.jsonl"
    assert len(load_outputs(path)) == 4
    path.write_text(path.read_text()[:-15])
    answerer = FakeAnswerer(right_when_seen)
    assert run(tmp_path, answerer, make_file(), batch=2) == whole
    assert len([case for case, blind in answerer.asked if not blind]) == 5
    again = FakeAnswerer(right_when_seen)
    assert run(tmp_path, again, make_file(), batch=2) == whole
    assert not again.asked


def test_a_run_may_be_killed_while_any_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies in the middle of each file in turn leaves none half written, and the next run goes on."""
    whole = run(tmp_path / "whole", FakeAnswerer(right_when_seen), make_file())
    kept, real = 0, Path.write_text
    for moment in range(12):
        writes = iter(range(100))

        def dying(path: Path, text: str, moment: int = moment, writes: Any = writes, **options: Any) -> int:
            if next(writes) != moment:
                return real(path, text, **options)
            real(path, text[: len(text) // 2], **options)
            raise KeyboardInterrupt

        folder = tmp_path / f"{moment}"
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", dying)
            try:
                assert run(folder, FakeAnswerer(right_when_seen), make_file()) == whole
                break
            except KeyboardInterrupt:
                kept += 1
        for path in (folder / "rsicd-scene").iterdir():
            lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            assert all(json.loads(line) for line in lines)
        answerer = FakeAnswerer(right_when_seen)
        assert run(folder, answerer, make_file()) == whole
        assert moment == 0 or not answerer.asked
    assert kept == 4


def test_answers_of_an_unknown_run_are_asked_again(tmp_path: Path) -> None:
    run(tmp_path, FakeAnswerer(lambda case, blind: "beach"), make_file())
    (tmp_path / "rsicd-scene" / "run.json").unlink()
    answerer = FakeAnswerer(right_when_seen)
    assert run(tmp_path, answerer, make_file())["scores"]["accuracy"]["value"] == 1
    assert len(answerer.asked) == 9


def test_a_page_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- results -->\nold\n<!-- /results -->\n\nafter\n")
    before, real = page.read_text(), Path.write_text

    def full(path: Path, text: str, **options: Any) -> int:
        real(path, text[:10], **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left"):
        insert_headlines(page, [], link="")
    assert page.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_another_model_is_asked_everything_anew(tmp_path: Path) -> None:
    run(tmp_path, FakeAnswerer(right_when_seen), make_file())
    other = FakeAnswerer(lambda case, blind: "beach", digest="two")
    assert run(tmp_path, other, make_file())["scores"]["accuracy"]["value"] == 0.5
    assert len(other.asked) == 9


def test_a_larger_limit_asks_only_what_is_missing(tmp_path: Path) -> None:
    assert run(tmp_path, FakeAnswerer(right_when_seen), make_file(), limit=3)["n"] == 3
    more = FakeAnswerer(right_when_seen)
    assert run(tmp_path, more, make_file())["n"] == 8
    assert len([case for case, blind in more.asked if not blind]) == 5
    assert pick_cases(make_file().cases, 3, seed=0) == pick_cases(make_file().cases, 3, seed=0)


def test_a_shorter_run_loses_no_answer(tmp_path: Path) -> None:
    run(tmp_path, FakeAnswerer(right_when_seen), make_file())
    for limit in (5, 2, 3):
        answerer = FakeAnswerer(right_when_seen)
        assert run(tmp_path, answerer, make_file(), limit=limit)["n"] == limit
        assert len((tmp_path / "rsicd-scene" / "samples.jsonl").read_text().splitlines()) == limit
        assert not answerer.asked
    again = FakeAnswerer(right_when_seen)
    assert run(tmp_path, again, make_file())["n"] == 8
    assert not again.asked


def test_two_models_in_one_folder_lose_no_answer(tmp_path: Path) -> None:
    first = run(tmp_path, FakeAnswerer(right_when_seen), make_file())
    run(tmp_path, FakeAnswerer(lambda case, blind: "beach", digest="two"), make_file())
    (earlier,) = (tmp_path / "rsicd-scene").glob("earlier-*")
    assert json.loads((earlier / "result.json").read_text()) == first
    assert load_runs(earlier)[0].result == first
    again = FakeAnswerer(right_when_seen)
    assert run(tmp_path, again, make_file()) == first
    assert not again.asked
    (earlier,) = (path for path in (tmp_path / "rsicd-scene").glob("earlier-*") if any(path.iterdir()))
    assert json.loads((earlier / "run.json").read_text())["model"] == "two"


def test_a_headline_in_words_stands_beside_its_baselines(tmp_path: Path) -> None:
    result = run(tmp_path, FakeAnswerer(right_when_seen), make_file())
    words = headline_words(result)
    assert "rsicd-scene (exact match" in words and "n 8: accuracy 1.0000 ± 0.0000; blind" in words
    assert "majority answer of the training split 0.5000" in words and words.endswith("; unparsed 0.000")
    assert "(accuracy 1.0000 ± 0.0000, no baseline)" in headline_words({**result, "baselines": {}})


@pytest.mark.parametrize("name", [name for name in SUITES if name != "rsicd-caption"])
def test_every_suite_runs_and_reports_its_headline(name: str, tmp_path: Path) -> None:
    geometry = {"hit-uav-obb": OBB(20, 20, 10, 5, 10)}.get(name, HBB(0, 0, 50, 25))
    cases = tuple(make_case(n, answers=["3"], category="count", geometry=geometry) for n in range(4))
    file = CaseFile(name, "val", {"count": {"3": 2, "0": 1}}, cases, "digest")
    result = run(tmp_path, FakeAnswerer(lambda case, blind: OUTPUTS.get(name, "3")), file)
    assert result["headline"] in result["scores"]
    assert all(result["headline"] in values for values in result["baselines"].values())
    assert result["scores"]["unparsed"]["n"] == 4


def test_the_page_shows_every_score_beside_its_baselines(tmp_path: Path) -> None:
    result = run(tmp_path, FakeAnswerer(right_when_seen), make_file())
    page = render_scores(load_results(tmp_path))
    assert "| [rsicd-scene](#rsicd-scene) | 8 | accuracy **1.000" in page
    assert "majority answer of the training split: 0.500" in page
    assert is_clear(result)
    assert not is_clear({**result, "lower_is_better": True})
    with pytest.raises(DataError, match="run `make eval` first"):
        load_results(tmp_path / "nowhere")


def test_the_median_is_taken_by_category() -> None:
    cases = [make_case(0, answers=["4"], category="car"), make_case(1, answers=["0"], category="person")]
    training = {"car": {"1": 1, "4": 2, "9": 1}, "person": {"0": 5, "7": 1}}
    measures = measure_median(cases, training, SUITES["hit-uav-count"].scorer)
    assert score_measure(measures[0], ["a", "b"]).value == 0


def write_file(path: Path, **changes: Any) -> Path:
    head = {"suite": "rsicd-scene", "split": "val", "cases": 1, "training": {}}
    case = {
        "id": "a", "group": "a", "images": ["a.png"], "sizes": [[9, 9]], "window": [0, 0, 4, 4], "instruction": "?",
        "category": "c", "answers": ["x"],
        "regions": [
            {"phrase": "p", "kind": "mask", "values": [0, 0, 3, 2], "shape": [2, 3], "runs": [0, 2, 3, 1]},
            {"phrase": "q", "kind": "obb", "values": [1, 2, 3, 4, 5]},
        ],
    }  # fmt: skip
    lines = [json.dumps({**head, **changes.get("head", {})}), changes.get("line", json.dumps(case))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_case_files_hold_windows_masks_and_oriented_boxes(tmp_path: Path) -> None:
    case = load_cases(write_file(tmp_path / "a.jsonl")).cases[0]
    mask = case.regions[0].geometry
    assert isinstance(mask, Mask)
    assert mask.bits.tolist() == [[True, True, False], [False, False, True]]
    assert to_mask(mask, box=mask.box, rows=2, cols=3) == mask
    assert case.regions[1].geometry == OBB(1, 2, 3, 4, 5)
    assert case.window is not None and case.window.w == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": {"cases": 2}}, "holds 1 cases, its first line says 2"),
        ({"line": '{"id": "a"'}, "line 2 is not JSON"),
        ({"line": '{"id": "a"}'}, "line 2 is no case"),
        ({"line": "[1]"}, "expected a JSON object"),
    ],
)
def test_broken_case_files_are_refused_with_their_line(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_cases(write_file(tmp_path / "a.jsonl", **changes))


def test_mistakes_on_the_command_line_are_one_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for arguments, words in (
        (["run", "scenes", "--cases", str(tmp_path)], "no suite 'scenes': known are rsicd-scene"),
        (["run", "xlrs", "--cases", str(tmp_path)], "name their folder with --data"),
        (["run", "rsicd-scene", "--cases", str(tmp_path)], "write it with `python -m data_engine.cases"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert words in caplog.text


def test_list_names_every_suite(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in SUITES)


def test_headlines_are_put_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- results -->\nold\n<!-- /results -->\n\nafter\n")
    insert_headlines(page, [], link="docs/scores.md")
    text = page.read_text()
    assert text.startswith("before\n\n<!-- results -->\n\n| Suite | n |")
    assert text.endswith("<!-- /results -->\n\nafter\n")
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(DataError, match="has no place for scores"):
        insert_headlines(page, [], link="")
