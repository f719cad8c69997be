"""`python -m data_engine synth`: a store of samples, the same whether it was stopped or not, with one worker or two."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from data_engine.__main__ import main
from data_engine.store.shards import read_samples
from data_engine.synth import corpus as corpora
from data_engine.synth.corpus import Corpus, place_samples
from vlm.errors import DataError


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--quiet", "synth", *map(str, arguments)])
    assert done.value.code in (0, None)


def shard_digests(folder: Path) -> list[str]:
    return [shard["sha256"] for shard in json.loads((folder / "manifest.json").read_text())["shards"]]


def test_the_corpus_is_cut_into_units_that_hold_every_place_once() -> None:
    units = Corpus(70, 20).units()
    seen = Counter((name, number) for unit in units for name, numbers in [unit.payload] for number in numbers)
    assert set(seen.values()) == {1}
    assert Counter(name for name, _ in seen) == {"scenes": 70, "pairs": 20}
    assert sum(unit.size for unit in units) == 90


def test_a_run_writes_samples_of_scenes_and_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "synth"
    run("--scenes", 3, "--pairs", 2, "--size", 64, "--workers", 1, out)
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    samples = list(read_samples(out))
    assert line["made"] == line["kept"] == len(samples) > 20
    assert Counter(len(sample.images) for sample in samples)[2] == sum(sample.task == "change" for sample in samples)
    assert len({sample.id for sample in samples}) == len(samples)
    assert all((image.data or b"")[:4] == b"II*\x00" for sample in samples for image in sample.images)
    assert samples[0].images[0].bands == ("red", "green", "blue")


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "UNIT_PLACES", 2)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    arguments = ("--scenes", 5, "--pairs", 0, "--size", 64, "--workers", 1)
    run(*arguments, whole)
    real, calls = corpora.place_samples, iter(range(100))

    def stop_at_the_fourth(corpus: Corpus, name: str, number: int) -> object:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return real(corpus, name, number)

    monkeypatch.setattr(corpora, "place_samples", stop_at_the_fourth)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main(["--quiet", "synth", *map(str, arguments), str(stopped)])
    assert not (stopped / "manifest.json").exists()
    monkeypatch.setattr(corpora, "place_samples", real)
    run(*arguments, stopped)
    assert shard_digests(stopped) == shard_digests(whole)


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    run("--scenes", 1000, "--dry-run", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_other_seeds_make_other_places_and_sensors_the_same() -> None:
    first, second = (next(place_samples(Corpus(1, 0, 64, seed=seed), "scenes", 0)) for seed in (0, 1))
    assert first.images[0].data != second.images[0].data
    radar = next(place_samples(Corpus(1, 0, 64, sensor="sar"), "scenes", 0))
    assert radar.images[0].bands == ("VV", "VH")
    assert radar.images[0].sensor == "synthetic SAR"


def test_corpora_that_cannot_be_made_are_refused() -> None:
    with pytest.raises(DataError, match="sensor 'x' is unknown"):
        Corpus(1, 0, sensor="x")
    with pytest.raises(DataError, match="0 scenes and 0 pairs"):
        Corpus(0, 0)
    with pytest.raises(DataError, match="a pixel of 20 m cannot be laid out"):
        Corpus(1, 0, gsds_m=(0.5, 20))
