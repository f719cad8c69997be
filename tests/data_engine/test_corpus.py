"""The corpus of a model: the same samples as its sources and places give, whatever was stopped, and what it leaks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_engine import corpus as corpora
from data_engine.corpus import Corpus, Part, build_corpus, nano, place_samples, store_names
from data_engine.intake import Reports
from data_engine.sources import find_source
from data_engine.stage import StageOptions
from data_engine.store import read_samples
from data_engine.store.rows import Rows
from tests.data_engine.made_samples import read_files
from vlm.errors import DataError
from vlm.records import Sample

TINY = Corpus(
    "tiny",
    parts=(
        Part("rsicd", "rsicd", "rsicd"),
        Part("hit_uav", "hit_uav", "hit_uav", variants=3),
        Part("rsvqa", "rsvqa", "rsvqa"),
        Part("levir_cd", "levir_cd", "levir_cd", variants=2),
        Part("dsifn", "dsifn", "dsifn"),
    ),
    places=3,
    held_out=(Part("rsicd-val", "rsicd", "rsicd", "val"), Part("levir_cd-val", "levir_cd", "levir_cd", "val")),
)


@pytest.fixture
def data(make: Callable[[str], Path]) -> Path:
    """Give a folder with tiny copies of the datasets of the corpus."""
    folders = [make(name) for name in ("rsicd", "hit_uav", "rsvqa", "levir_cd", "dsifn")]
    return folders[0].parent


def told(samples: Iterable[Sample]) -> dict[str, list[Any]]:
    """Give what samples say, without their images, in order by id: a sample has one id in all variants."""
    found: dict[str, list[Any]] = {}
    for sample in samples:
        found.setdefault(sample.id, []).append((sample.turns, sample.task, sample.source, sample.split, sample.licence))
    return found


def test_the_stores_hold_what_sources_and_places_give(data: Path, tmp_path: Path) -> None:
    ledger, report = build_corpus(TINY, data, tmp_path / "out", options=StageOptions())
    total = 0
    for part in TINY.parts:
        source = find_source(part.source)
        expected = [
            sample
            for seed in range(part.variants)
            for sample in source.load(data / part.folder, split=part.split, seed=seed)
        ]
        found = list(read_samples(tmp_path / "out" / part.name))
        total += len(found)
        assert told(found) == told(expected), part.name
        assert all(image.data for sample in found for image in sample.images)
    synth = list(read_samples(tmp_path / "out" / "synth"))
    assert synth == [sample for number in range(3) for sample in place_samples(number)]
    assert ledger.kept == total + len(synth) == sum(store["samples"] for store in report["stores"].values())


def test_samples_about_one_image_follow_each_other(data: Path, tmp_path: Path) -> None:
    build_corpus(replace(TINY, places=0), data, tmp_path / "out", options=StageOptions())
    for name in ("rsicd", "hit_uav", "levir_cd"):
        groups = Rows(tmp_path / "out" / name).groups()
        assert all(group.tolist() == list(range(group[0], group[-1] + 1)) for group in groups), name


def test_a_stopped_build_goes_on_and_a_finished_one_is_known(data: Path, tmp_path: Path, monkeypatch) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    small = replace(TINY, parts=TINY.parts[:2])
    build_corpus(small, data, whole, options=StageOptions())

    def stop(number: int, *, seed: int) -> Any:
        if number == 2:
            raise KeyboardInterrupt
        return place_samples(number, seed=seed)

    with monkeypatch.context() as patch:
        patch.setattr(corpora, "place_samples", stop)
        patch.setattr(corpora, "_UNIT_PLACES", 1)
        with pytest.raises(KeyboardInterrupt):
            build_corpus(small, data, stopped, options=StageOptions())
    with monkeypatch.context() as patch:
        patch.setattr(corpora, "_UNIT_PLACES", 1)
        build_corpus(small, data, stopped, options=StageOptions())
    for name in store_names(small):
        assert list(read_samples(stopped / name)) == list(read_samples(whole / name))
    build_corpus(small, data, tmp_path / "again", options=StageOptions())
    assert read_files(tmp_path / "again") == read_files(whole)
    before = read_files(whole)
    build_corpus(small, data, whole, options=StageOptions())
    assert read_files(whole) == before


def test_what_is_shown_in_held_out_splits_is_reported(data: Path, tmp_path: Path) -> None:
    pictures = data / "rsicd" / "RSICD_images"
    shutil.copy(pictures / "airport_1.jpg", pictures / "bridge_3.jpg")
    small = replace(TINY, parts=TINY.parts[:1], places=0)
    _, report = build_corpus(small, data, tmp_path / "out", options=StageOptions())
    assert report["overlaps"]["rsicd-val"] == {"held_out_images": 1, "corpus_images": 1}
    lines = [json.loads(line) for line in (tmp_path / "out" / "overlaps.jsonl").read_text().splitlines()]
    assert ("rsicd-val", "rsicd/val/bridge_3") in {
        (line["store"], line["held_out"].rsplit("/", 1)[0]) for line in lines
    }
    assert json.loads((tmp_path / "out" / "corpus.json").read_text()) == json.loads(json.dumps(report))
    assert not (tmp_path / "out" / "fingerprints").exists()


def test_another_seed_makes_another_corpus(data: Path, tmp_path: Path) -> None:
    small = replace(TINY, parts=(replace(TINY.parts[1], variants=2),), places=1, held_out=())
    first, second = (
        build_corpus(small, data, tmp_path / str(seed), options=StageOptions(seed=seed))[1] for seed in (0, 1)
    )
    for name in ("hit_uav", "synth"):
        assert first["stores"][name]["digest"] != second["stores"][name]["digest"]
    with pytest.raises(DataError, match="seed was 0, now 1"):
        build_corpus(small, data, tmp_path / "0", options=StageOptions(seed=1))


def test_a_dry_run_touches_nothing(data: Path, tmp_path: Path) -> None:
    _, report = build_corpus(TINY, data, tmp_path / "out", options=StageOptions(dry_run=True))
    assert report == {}
    assert not (tmp_path / "out").exists()


def test_missing_datasets_are_named_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / "rsvqa")
    with pytest.raises(DataError, match="lacks rsvqa, which the corpus tiny is made of"):
        build_corpus(TINY, data, tmp_path / "out", options=StageOptions())
    assert not (tmp_path / "out").exists()


def test_the_verb_ends_with_what_it_made(run: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(corpora.CORPORA, "smoke", lambda: Corpus("smoke", places=2))
    said = run("corpus", "smoke", tmp_path, tmp_path / "out", "--workers", "1")
    assert said["kept"] == said["stores"]["synth"]["samples"] == len(Rows(tmp_path / "out" / "synth"))


def test_an_unknown_corpus_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert "known are nano, smoke" in refuse("corpus", "none", tmp_path, tmp_path / "out")


def test_the_corpus_of_the_built_in_model_is_made_of_what_lies_there(shared_data: Path) -> None:
    assert all(part.split in find_source(part.source).splits for part in (*nano().parts, *nano().held_out))
    for part in nano().parts:
        assert next(corpora.part_samples(replace(part, variants=1), shared_data, Reports())).turns
