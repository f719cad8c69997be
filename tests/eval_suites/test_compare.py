"""Runs beside each other: paired differences, one table a protocol, published numbers of that protocol only."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_suites.__main__ import main
from eval_suites.compare import find_difference, load_runs, render_comparison
from eval_suites.measure import Measure, row_shares
from eval_suites.published import find_published, load_published
from eval_suites.rules.registry import rules_of
from eval_suites.rules.tables import sum_ratio
from vlm.errors import DataError


def write_run(folder: Path, given: list[float], *, protocol: str = "lpva", **more: Any) -> Path:
    folder.mkdir(parents=True)
    mean = sum(given) / len(given)
    value = {"value": mean, "standard_error": 0.01, "n": len(given)}
    result = {
        "suite": "dior-rsvg", "protocol": f"{protocol}: words", "published": protocol, "headline": "Pr@.5",
        "n": len(given), "of": len(given), "scores": {"Pr@.5": value}, "tables": {}, "baselines": {},
        "model": {"name": folder.name},
        **more,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    rows = [
        {
            "id": f"{n}",
            "group": f"image-{n // 2}",
            "category": "ship" if n % 4 < 2 else "plane",
            "score": score / 2,
            "share": [score, 1.0],
        }
        for n, score in enumerate(given)
    ]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def noisy(share: float, *, seed: int, count: int = 400) -> list[float]:
    rng = random.Random(seed)
    return [float(rng.random() < share) for _ in range(count)]


def test_a_real_difference_is_found_and_none_is_made_up(tmp_path: Path) -> None:
    base = noisy(0.5, seed=1)
    better = [max(score, extra) for score, extra in zip(base, noisy(0.15, seed=2), strict=True)]
    (first,) = load_runs(write_run(tmp_path / "a", base))
    (second,) = load_runs(write_run(tmp_path / "b", better))
    (same,) = load_runs(write_run(tmp_path / "c", noisy(0.5, seed=3)))
    found = find_difference(second, first)
    assert found is not None
    assert found.value == pytest.approx(sum(better) / 400 - sum(base) / 400)
    assert found.p < 0.01 < 0.05 < find_difference(same, first).p  # type: ignore[union-attr]
    alike = find_difference(first, first)
    assert alike is not None and (alike.value, alike.error, alike.p) == (0, 0, 1)


def test_pairs_are_drawn_by_image_so_that_copies_add_no_certainty(tmp_path: Path) -> None:
    once = noisy(0.6, seed=4, count=100)
    (first,) = load_runs(write_run(tmp_path / "a", [0.5] * 200))
    (second,) = load_runs(write_run(tmp_path / "b", [score for score in once for _ in range(2)]))
    (thin,) = load_runs(write_run(tmp_path / "c", once))
    (flat,) = load_runs(write_run(tmp_path / "d", [0.5] * 100))
    for row in (*thin.rows.values(), *flat.rows.values()):
        row["group"] = row["id"]
    doubled, single = find_difference(second, first), find_difference(thin, flat)
    assert doubled is not None and single is not None
    assert doubled.error == pytest.approx(single.error, rel=0.1)


def test_protocols_never_share_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [
        write_run(tmp_path / "a", noisy(0.5, seed=1)),
        write_run(tmp_path / "b", noisy(0.8, seed=2)),
        write_run(tmp_path / "c", noisy(0.8, seed=2), protocol="exact"),
    ]
    main(["compare", *map(str, folders), "--out", str(tmp_path / "page.md")])
    page = capsys.readouterr().out
    assert (tmp_path / "page.md").read_text() == page
    lpva, exact = page.split("## dior-rsvg")[1:]
    assert "LPVA (published)" in lpva and "0.8227" in lpva
    assert "(published)" not in exact
    assert "b (" in lpva and "c (" not in lpva and "c (" in exact
    assert "By category" in lpva and "| ship |" in lpva
    assert "Differences are of Pr@.5." in lpva


def test_a_headline_that_is_no_mean_of_rows_says_so(tmp_path: Path) -> None:
    runs = [load_runs(write_run(tmp_path / name, [share, 1.0] * 4))[0] for name, share in (("a", 0.0), ("b", 1.0))]
    assert "| +0.5000 ±" in render_comparison(runs)
    for row in runs[1].rows.values():
        del row["share"]
    page = render_comparison(runs)
    assert "which is not Pr@.5" in page
    assert "| +0.2500 ±" in page


def test_differences_of_runs_are_those_of_their_headlines(tmp_path: Path) -> None:
    """Also where a row's own score is another number (IoU beside hits), and where the headline is a ratio of sums."""
    from tests.eval_suites.made_benchmarks import MAKERS

    MAKERS["dior-rsvg"](tmp_path / "data")
    for model in ("fake:perfect", "fake:random"):
        run = ["run", "dior-rsvg", "--data", str(tmp_path / "data"), "--model", model, "--out", str(tmp_path / model)]
        main(run)
    (first,), (second,) = (load_runs(tmp_path / model) for model in ("fake:perfect", "fake:random"))
    found = find_difference(second, first)
    heads = [run.result["scores"]["Pr@.5"]["value"] for run in (second, first)]
    assert found is not None and found.value == pytest.approx(heads[0] - heads[1]) and heads[1] == 1
    assert [row["share"] for row in first.rows.values()] == [[1.0, 1.0]] * len(first.rows)
    assert any(0 < row["score"] < 1 and row["share"] != [row["score"], 1.0] for row in second.rows.values())


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20),
)
def test_what_rows_add_gives_the_measure(rows: list[tuple[int, int, int]]) -> None:
    top, bottom = np.array([row[1] for row in rows]), np.array([row[1] + row[2] for row in rows])
    shares = row_shares(sum_ratio("precision", top, bottom), len(rows))
    assert shares == [(float(a), float(b)) for a, b in zip(top, bottom, strict=True)]
    assert row_shares(Measure("S*m", np.zeros((2, 3)), lambda sums: sums[..., 0]), 2) == [None, None]


def test_folders_without_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no result.json"):
        load_runs(tmp_path)
    folder = write_run(tmp_path / "a", [1.0])
    (folder / "samples.jsonl").write_text('{"id": "1", "output": "x"}')
    with pytest.raises(DataError, match="is no finished run"):
        load_runs(folder)


def test_published_numbers_are_fractions_with_a_source() -> None:
    for one in load_published():
        assert one.source and one.scores
        top = 10 if "CIDEr" in one.scores else 1
        assert all(0 <= value <= (top if name in ("CIDEr",) else 1) for name, value in one.scores.items()), one
    assert find_published("levircc", "ids")
    known = {(suite, rule.protocol) for suite in {one.suite for one in load_published()} for rule in rules_of(suite)}
    assert {("dior-rsvg", "lpva"), ("vrsbench-ref", "official"), ("lrsvqa", "wordnet")} <= known
