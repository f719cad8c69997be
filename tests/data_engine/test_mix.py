"""Mixing: the arithmetic adds up, every draw has one place, and a stopped or shared run gives the same corpus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.mix import corpus as corpus_stage
from data_engine.mix.corpus import write_mix
from data_engine.mix.order import permute
from data_engine.mix.plan import plan_mix
from data_engine.mix.recipe import Mix, Part, load_recipe
from data_engine.stage import StageOptions
from data_engine.store import load_manifest, read_samples
from tests.data_engine.made_corpora import run_verb, say, store
from tests.data_engine.made_samples import read_files
from vlm.errors import DataError
from vlm.records import Image, Sample, Task

OPTIONS = StageOptions()


def image(number: int) -> Image:
    return Image(path=f"pictures/{number}.png", width=64, height=48)


def make_samples(name: str, counts: dict[Task, int]) -> list[Sample]:
    """Make samples with tasks in turn, so that each shard holds some of each."""
    left = Counter(counts)
    samples: list[Sample] = []
    while left.total():
        for task in counts:
            if left[task]:
                left[task] -= 1
                number = counts[task] - left[task] - 1
                samples.append(say(f"{task}-{number}", image(number), f"answer {number}", task=task, source=name))
    return samples


def make_store(folder: Path, counts: dict[Task, int], *, shard: int = 7) -> str:
    return str(store(folder, make_samples(folder.name, counts), shard=shard))


def ids(folder: Path) -> list[str]:
    return [sample.id for sample in read_samples(folder)]


@given(st.integers(1, 3000), st.integers(0, 5))
def test_the_order_is_a_permutation(size, seed):
    places = permute(np.arange(size), size=size, seed=str(seed))
    assert sorted(places.tolist()) == list(range(size))
    part = np.arange(size)[size // 3 : size // 2]
    assert permute(part, size=size, seed=str(seed)).tolist() == places[size // 3 : size // 2].tolist()


def test_the_order_is_shuffled_and_the_seed_makes_another():
    size = 20_000
    places = permute(np.arange(size), size=size, seed="0")
    assert abs(np.corrcoef(np.arange(size), places)[0, 1]) < 0.03
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.03
    counts, _ = np.histogram(places[: size // 10], bins=20, range=(0, size))
    assert ((counts - 100) ** 2 / 100).sum() < 50
    assert np.mean(places == permute(np.arange(size), size=size, seed="1")) < 0.001
    with pytest.raises(DataError, match="have no place among 5"):
        permute(np.array([5]), size=5, seed="0")


def test_shares_follow_weights_and_temperature(tmp_path: Path):
    stores = [
        load_manifest(Path(make_store(tmp_path / name, counts, shard=200)))
        for name, counts in (("a", {"caption": 400, "count": 100}), ("b", {"caption": 100}))
    ]
    parts = (Part("a", tasks={"count": 2.0}), Part("b", weight=0.5))
    plan = plan_mix(Mix(parts), stores, seed=0)
    assert plan.draws == 600
    assert [cell.share for cell in plan.cells] == pytest.approx([400 / 650, 200 / 650, 50 / 650], abs=0.01)
    equal = plan_mix(Mix(parts=(Part("a"), Part("b")), temperature=1e9), stores, seed=0)
    assert [cell.draws for cell in equal.cells] == [200, 200, 200]
    root = plan_mix(Mix(parts=(Part("a"), Part("b")), temperature=2.0, samples=400), stores, seed=0)
    assert [cell.draws for cell in root.cells] == [200, 100, 100]
    assert root.render().splitlines()[-1].split() == ["in", "all", "600", "100.0%", "400", "0.67"]


def test_no_cell_is_repeated_more_than_allowed_and_the_others_take_the_rest(tmp_path: Path):
    stores = [
        load_manifest(Path(make_store(tmp_path / name, {"caption": count}, shard=200)))
        for name, count in (("a", 10), ("b", 100), ("c", 100))
    ]
    parts = (Part("a", weight=100.0), Part("b"), Part("c"))
    plan = plan_mix(Mix(parts, samples=200, most_repeats=3), stores, seed=0)
    assert [cell.draws for cell in plan.cells] == [30, 85, 85]
    assert [cell.draws for cell in plan_mix(Mix(parts, samples=10_000, most_repeats=2), stores, seed=0).cells] == [
        20, 200, 200,
    ]  # fmt: skip
    with pytest.raises(DataError, match="the mixture is empty"):
        plan_mix(Mix((Part("a", weight=0),)), stores[:1], seed=0)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.floats(0.2, 3), st.integers(0, 3))
def test_every_draw_has_one_place_and_samples_are_drawn_equally_often(counts, epochs, seed):
    from data_engine.store.manifest import Manifest, Shard

    stores = [
        Manifest(Path(f"s{at}"), "made", {}, (Shard("x", count, 1, "", {"task": {"caption": count}}),))
        for at, count in enumerate(counts)
    ]
    plan = plan_mix(Mix(tuple(Part(f"s{at}") for at in range(len(counts))), epochs=epochs), stores, seed=seed)
    places = [plan.place(cell, np.arange(cell.samples)) for cell in plan.cells if plan.draws]
    assert sorted(place for cell in places for row in cell for place in row) == list(range(plan.draws))
    for cell in places:
        times = [len(row) for row in cell]
        assert max(times) - min(times) <= 1


def test_the_corpus_holds_what_the_plan_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus_stage, "BUCKET_SAMPLES", 20)
    parts = (
        Part(make_store(tmp_path / "a", {"caption": 40, "vqa": 13}), tasks={"vqa": 3.0}),
        Part(make_store(tmp_path / "b", {"caption": 30}), weight=0.4),
        Part(make_store(tmp_path / "c", {"count": 9}), weight=0.0),
    )
    plan, ledger = write_mix(Mix(parts), tmp_path / "out", options=OPTIONS)
    drawn = Counter(ids(tmp_path / "out"))
    by_cell = Counter((name.split("/")[0], name.split("/")[1].split("-")[0]) for name in drawn.elements())
    assert by_cell == {(Path(cell.store).name, cell.task): cell.draws for cell in plan.cells if cell.draws}
    assert (ledger.read, ledger.kept) == (92, plan.draws)
    assert ledger.made == sum(count - 1 for count in drawn.values())
    assert ledger.dropped == {"not drawn": 92 - len(drawn)}
    assert load_manifest(tmp_path / "out").samples == plan.draws
    assert len(load_manifest(tmp_path / "out").shards) == 5
    assert json.loads((tmp_path / "out" / "ledger.json").read_text())["made"] == ledger.made
    assert not (tmp_path / "out.dealt").exists()
    original = {sample.id: sample for part in parts for sample in read_samples(Path(part.store))}
    assert all(original[sample.id] == sample for sample in read_samples(tmp_path / "out"))


def test_the_corpus_is_shuffled_and_the_seed_decides(tmp_path: Path):
    mix = Mix((Part(make_store(tmp_path / "a", {"caption": 300}, shard=50)),))
    write_mix(mix, tmp_path / "one", options=OPTIONS)
    write_mix(mix, tmp_path / "two", options=OPTIONS)
    write_mix(mix, tmp_path / "other", options=replace(OPTIONS, seed=1))
    assert read_files(tmp_path / "one") == read_files(tmp_path / "two")
    order = [int(name.rpartition("-")[2]) for name in ids(tmp_path / "one")]
    assert sorted(order) == list(range(300))
    assert abs(np.corrcoef(order, range(300))[0, 1]) < 0.2
    assert order != [int(name.rpartition("-")[2]) for name in ids(tmp_path / "other")]


def test_processes_give_the_same_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus_stage, "BUCKET_SAMPLES", 25)
    mix = Mix((Part(make_store(tmp_path / "a", {"caption": 60, "vqa": 20})),), epochs=1.5)
    write_mix(mix, tmp_path / "one", options=OPTIONS)
    write_mix(mix, tmp_path / "two", options=replace(OPTIONS, workers=2))
    assert read_files(tmp_path / "one") == read_files(tmp_path / "two")


SLOW_MIX = """
import sys, time
from pathlib import Path
from data_engine.mix import corpus, deal
from data_engine.mix.recipe import Mix, Part
from data_engine.stage import StageOptions
corpus.BUCKET_SAMPLES = 16
for work in (deal.DealShard, deal.GatherBucket):
    def slowly(self, unit, ledger, call=work.__call__):
        time.sleep(0.1)
        yield from call(self, unit, ledger)
    work.__call__ = slowly
corpus.write_mix(Mix((Part(sys.argv[1]),), epochs=1.5), Path(sys.argv[2]), options=StageOptions())
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path: Path, repository: Path):
    folder = make_store(tmp_path / "a", {"caption": 80})
    command = [sys.executable, "-c", SLOW_MIX, folder]
    subprocess.run([*command, str(tmp_path / "whole")], cwd=repository, check=True, capture_output=True)
    for part in ("out.dealt/.units", "out/.units"):
        child = subprocess.Popen([*command, str(tmp_path / "out")], cwd=repository, stderr=subprocess.DEVNULL)
        while len(list((tmp_path / part).glob("0*.json"))) < 2 and child.poll() is None:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert not (tmp_path / "out" / "manifest.json").exists()
    subprocess.run([*command, str(tmp_path / "out")], cwd=repository, check=True, capture_output=True)
    assert read_files(tmp_path / "out") == read_files(tmp_path / "whole")


RECIPE = """
from data_engine.mix.recipe import Mix, Part

def recipe() -> Mix:
    return Mix(parts=(Part({a!r}, weight=2.0), Part({b!r})), epochs=0.5)
"""


def test_the_verb_prints_the_arithmetic_and_the_lengths(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    a, b = make_store(tmp_path / "a", {"caption": 40}), make_store(tmp_path / "b", {"caption": 20, "vqa": 20})
    (tmp_path / "recipe.py").write_text(RECIPE.format(a=a, b=b))
    words = ("mix", str(tmp_path / "recipe.py"), str(tmp_path / "out"), "--context", "300")
    run_verb(*words, "--dry-run")
    dry = capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    run_verb(*words)
    text = capsys.readouterr().out
    table = dry.splitlines()[:-1]
    assert text.splitlines()[: len(table)] == table
    assert table[1].split() == [a, "caption", "40", "2.00", "67.5%", "27", "0.68"]
    assert "tokens a sample: mean" in text
    summary = json.loads(text.splitlines()[-1])
    assert (summary["draws"], summary["kept"], summary["read"]) == (40, 40, 80)
    assert 0 < summary["packing"]["padded"] <= 1
    run_verb(*words)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["dropped"] == summary["dropped"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist or is no Python file"),
        ("x = 1", "has no attribute 'recipe'"),
        ("def recipe(): return 3", "returns int: expected a data_engine.mix.recipe.Mix"),
        ("def recipe(:", "cannot be run .SyntaxError"),
        ("from data_engine.mix.recipe import *\ndef recipe(): return Mix(parts=(Part('a', wight=2),))", "TypeError"),
        ("from data_engine.mix.recipe import *\ndef recipe(): return Mix(parts=())", "needs at least one part"),
        (
            "from data_engine.mix.recipe import *\ndef recipe(): return Mix((Part('a', tasks={'boxes': 1}),))",
            "weighs the task 'boxes': known are caption",
        ),
        ("from data_engine.mix.recipe import *\ndef recipe(): return Mix((Part('a', -1),))", "has a weight of -1"),
        (
            "from data_engine.mix.recipe import *\ndef recipe(): return Mix((Part('a'),), temperature=0)",
            "temperature=0: expected a number above 0",
        ),
    ],
)
def test_bad_recipes_are_refused_in_a_sentence(tmp_path: Path, text, message):
    path = tmp_path / "recipe.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_recipe(path)


def test_an_input_is_not_overwritten(tmp_path: Path):
    folder = make_store(tmp_path / "a", {"caption": 5})
    with pytest.raises(DataError, match="mix cannot write into its own input"):
        write_mix(Mix((Part(folder),)), Path(folder), options=OPTIONS)
