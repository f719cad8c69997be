"""Stages add up, stop and go on, and give the same bytes however they were run."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_engine.progress import Progress
from data_engine.stage import StageOptions, Unit, map_samples, map_store, write_stage
from data_engine.store import Ledger, load_manifest, read_samples
from data_engine.store.ledger import parse_ledger
from tests.data_engine.made_samples import make_sample, make_store, make_units, make_work, read_files
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Region, Sample

OPTIONS = StageOptions()


def twice(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
    yield sample
    yield replace(sample, id=f"{sample.id}/again")


def thin(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
    """Keep every third sample and make two of it."""
    if int(sample.id[-5:]) % 3:
        ledger.drop("not a third", "its number is no multiple of three", sample.id, fault=False)
    else:
        yield from twice(sample, ledger)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "made", samples=20, size=5)


def test_a_stage_maps_every_sample_in_order_and_its_ledger_adds_up(store: Path, tmp_path: Path) -> None:
    ledger = map_store("thin", [store], tmp_path / "out", thin, options=OPTIONS)
    assert (ledger.read, ledger.made, ledger.kept, ledger.drops) == (20, 7, 14, 13)
    expected = [f"made/{n:05d}{end}" for n in range(0, 20, 3) for end in ("", "/again")]
    assert [sample.id for sample in read_samples(tmp_path / "out")] == expected
    written = json.loads((tmp_path / "out" / "ledger.json").read_text())
    assert written["read"] + written["made"] == written["kept"] + sum(written["dropped"].values())
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert Counter(line["reason"] for line in lines) == ledger.dropped == Counter({"not a third": 13})
    assert {line["where"] for line in lines} == {f"made/{n:05d}" for n in range(20) if n % 3}


def test_several_stores_are_read_one_after_the_other(store: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", samples=4, size=3)
    map_store("twice", [store, other], tmp_path / "out", twice, options=OPTIONS)
    ids = [sample.id for sample in read_samples(tmp_path / "out")]
    assert len(ids) == 48
    assert ids[40:42] == ["made/00000", "made/00000/again"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ledger_adds_up_whatever_a_transform_does(tmp_path_factory, plan) -> None:
    folder = tmp_path_factory.mktemp("law")
    make_store(folder / "made", samples=len(plan), size=4)

    def transform(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        given, dropped, fails = plan[int(sample.id[-5:])]
        for number in range(given):
            yield replace(sample, id=f"{sample.id}/{number}")
        for _ in range(dropped):
            ledger.drop("because", fault=False)
        if fails or not given + dropped:
            raise DataError("it cannot be done")

    ledger = map_store("law", [folder / "made"], folder / "out", transform, options=OPTIONS)
    failed = sum(fails or not given + dropped for given, dropped, fails in plan)
    assert (ledger.read, ledger.kept) == (len(plan), sum(given for given, _, _ in plan))
    assert ledger.dropped == +Counter({"because": sum(dropped for _, dropped, _ in plan), "failed": failed})
    assert ledger.read + ledger.made == ledger.kept + ledger.drops == len(list(read_samples_of(folder))) + ledger.drops


def read_samples_of(folder: Path) -> list[Sample]:
    return list(read_samples(folder / "out"))


def test_a_sample_that_vanishes_without_a_reason_is_a_fault_of_the_stage(store: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sample made/00000 became nothing and no reason was given"):
        map_store("lose", [store], tmp_path / "out", lambda sample, ledger: (), options=OPTIONS)


def test_what_cannot_be_stored_is_dropped_like_what_cannot_be_made(store: Path, tmp_path: Path) -> None:
    def spoil(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        yield replace(sample, source="\ud800") if sample.id.endswith("4") else sample

    ledger = map_store("spoil", [store], tmp_path / "out", spoil, options=OPTIONS)
    assert (ledger.kept, ledger.dropped) == (18, Counter({"failed": 2}))


class StoppedError(Exception):
    pass


@dataclass
class StopAt:
    """Stop the run in the middle of a unit, as Ctrl-C does."""

    sample: str
    error: type[BaseException] = KeyboardInterrupt

    def __call__(self, sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        if sample.id == self.sample:
            raise self.error
        yield from thin(sample, ledger)


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoppedError])
@pytest.mark.parametrize("stop", ["made/00000", "made/00006", "made/00012", "made/00019"])
def test_a_stopped_run_goes_on_and_gives_the_same_bytes(store: Path, tmp_path: Path, stop: str, error: type) -> None:
    map_store("thin", [store], tmp_path / "straight", thin, options=OPTIONS)
    with pytest.raises(error):
        map_store("thin", [store], tmp_path / "out", StopAt(stop, error), options=OPTIONS)
    assert not list((tmp_path / "out").glob("*.new")) and not (tmp_path / "out" / "manifest.json").exists()
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("shard-*")}
    assert len(done) == int(stop[-5:]) // 5
    with pytest.raises(DataError, match="no finished store"):
        load_manifest(tmp_path / "out")
    ledger = map_store("thin", [store], tmp_path / "out", thin, options=OPTIONS)
    assert (ledger.read, ledger.kept) == (20, 14)
    assert read_files(tmp_path / "out") == read_files(tmp_path / "straight")
    assert all(path.stat().st_mtime_ns == when for path, when in done.items()), "done units were made again"


def test_a_done_stage_is_left_as_it_is(store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = map_store("thin", [store], tmp_path / "out", thin, options=OPTIONS)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    with caplog.at_level(logging.INFO, "nadir.data"):
        second = map_store("thin", [store], tmp_path / "out", StopAt("made/00000"), options=OPTIONS)
    assert "is done already" in caplog.text
    assert (second.read, second.kept, second.dropped) == (first.read, first.kept, first.dropped)
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_a_dry_run_touches_nothing(store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = read_files(tmp_path)
    with caplog.at_level(logging.INFO, "nadir.data"):
        map_store("thin", [store], tmp_path / "out", thin, options=StageOptions(dry_run=True))
    assert "would do 20 items in 4 units" in caplog.text
    assert read_files(tmp_path) == before and not (tmp_path / "out").exists()


def test_another_run_does_not_go_on_in_the_same_folder(store: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        map_store("thin", [store], tmp_path / "out", StopAt("made/00012"), options=OPTIONS)
    for other in ({"config": {"share": 2}, "options": OPTIONS}, {"options": StageOptions(seed=1)}):
        with pytest.raises(DataError, match="holds the output of another run"):
            map_store("thin", [store], tmp_path / "out", thin, **other)
    map_store("thin", [store], tmp_path / "out", thin, options=OPTIONS)
    with pytest.raises(DataError, match="holds the output of another run"):
        map_store("twice", [store], tmp_path / "out", twice, options=OPTIONS)


def test_changed_input_does_not_go_on_either(store: Path, tmp_path: Path) -> None:
    def stop(unit: Unit, ledger: Ledger) -> Iterator[Sample]:
        if unit.payload[0] == 5:
            raise KeyboardInterrupt
        yield from make_work(unit, ledger)

    with pytest.raises(KeyboardInterrupt):
        write_stage("made", make_units(10, 5), stop, tmp_path / "out", options=OPTIONS)
    renamed = [replace(unit, key=f"other {unit.key}") for unit in make_units(10, 5)]
    with pytest.raises(DataError, match="was 'made 0' and is 'other made 0' now"):
        write_stage("made", renamed, make_work, tmp_path / "out", options=OPTIONS)


def test_a_folder_of_other_things_is_not_written_into(store: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="is not empty and no output of this verb"):
        map_store("thin", [store], tmp_path / "photos", thin, options=OPTIONS)
    with pytest.raises(DataError, match="cannot write into its own input"):
        map_store("thin", [store], store, thin, options=OPTIONS)


def test_two_processes_do_not_write_one_folder(store: Path, tmp_path: Path) -> None:
    def start_again(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        with pytest.raises(DataError, match="another process is writing"):
            map_store("thin", [store], tmp_path / "out", thin, options=OPTIONS)
        yield sample

    ledger = map_store("thin", [store], tmp_path / "out", start_again, options=OPTIONS)
    assert ledger.kept == 20


def test_a_run_that_did_nothing_leaves_its_folder_free(tmp_path: Path) -> None:
    def find_units() -> Iterator[Unit]:
        raise DataError("there is no such dataset")
        yield

    with pytest.raises(DataError, match="no such dataset"):
        write_stage("made", find_units(), make_work, tmp_path / "out", options=OPTIONS)
    assert not (tmp_path / "out").exists()


def test_units_without_samples_leave_no_shard(store: Path, tmp_path: Path) -> None:
    def keep_late(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        if sample.id < "made/00015":
            ledger.drop("early", fault=False)
        else:
            yield sample

    map_store("late", [store], tmp_path / "out", keep_late, options=OPTIONS)
    assert [path.name for path in sorted((tmp_path / "out").glob("*.parquet"))] == ["shard-00003.parquet"]
    assert [sample.id for sample in read_samples(tmp_path / "out")] == [f"made/{n:05d}" for n in range(15, 20)]


def test_a_damaged_record_of_a_unit_is_named(store: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        map_store("thin", [store], tmp_path / "out", StopAt("made/00012"), options=OPTIONS)
    (tmp_path / "out" / ".units" / "00000.json").write_text('{"key"')
    with pytest.raises(DataError, match=r"00000\.json is damaged .* delete it"):
        map_store("thin", [store], tmp_path / "out", thin, options=OPTIONS)


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one(store: Path, tmp_path: Path) -> None:
    map_store("thin", [store], tmp_path / "one", thin, options=OPTIONS)
    map_store("thin", [store], tmp_path / "two", thin, options=StageOptions(workers=2))
    assert read_files(tmp_path / "one") == read_files(tmp_path / "two")


@dataclass(frozen=True)
class DieOnce:
    """Kill the process that reaches a sample, once: `mark` is a file that says that it has happened."""

    mark: Path

    def __call__(self, sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        if sample.id == "made/00012" and not self.mark.exists():
            self.mark.touch()
            os._exit(9)
        yield from thin(sample, ledger)


@pytest.mark.slow
def test_a_killed_process_is_a_sentence_and_the_same_command_goes_on(store: Path, tmp_path: Path) -> None:
    options = StageOptions(workers=2)
    with pytest.raises(DataError, match="a worker process was killed"):
        map_store("thin", [store], tmp_path / "out", DieOnce(tmp_path / "mark"), options=options)
    map_store("thin", [store], tmp_path / "out", DieOnce(tmp_path / "mark"), options=options)
    map_store("thin", [store], tmp_path / "straight", thin, options=OPTIONS)
    assert read_files(tmp_path / "out") == read_files(tmp_path / "straight")


def test_progress_says_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nadir.data"), Progress("thin", 100, every_s=0.0) as progress:
        progress.skip(40)
        progress.advance(10)
        progress.expect(80)
        progress.advance(10)
    said = [record.message for record in caplog.records]
    assert said[0] == "thin: 40, 0.0/s", "what was done before says nothing about the rate"
    assert [message.split(",")[0] for message in said[1:]] == ["thin: 50 of 100", "thin: 60 of 80"]
    assert all("/s, " in message and message.endswith("s left") for message in said[1:])


def test_a_ledger_comes_back_from_json() -> None:
    ledger = Ledger(read=5, made=3, kept=6)
    ledger.drop("small", count=2, fault=False)
    ledger.require_balance("test")
    again = parse_ledger(ledger.to_json())
    assert (again.read, again.made, again.kept, again.dropped) == (5, 3, 6, Counter({"small": 2}))
    assert "read 5 + made 3 = kept 6 + dropped 2 (small 2)" in ledger.render("test")
    again.read += 1
    with pytest.raises(DataError, match="does not add up"):
        again.require_balance("test")


def test_geometry_passes_a_stage_untouched(store: Path, tmp_path: Path) -> None:
    def move(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
        turn = sample.turns[0]
        region = Region(HBB(0.1 + 0.2, 0, 1 / 3, 1e-9), "x")
        yield replace(sample, turns=(replace(turn, regions=(region,)),))

    map_store("move", [store], tmp_path / "out", move, options=OPTIONS)
    for sample in read_samples(tmp_path / "out"):
        assert sample.turns[0].regions[0].geometry == HBB(0.1 + 0.2, 0, 1 / 3, 1e-9)
        assert sample.turns[0].answer == make_sample(int(sample.id[-5:])).turns[0].answer


def test_drops_of_whoever_takes_the_samples_are_not_counted_twice() -> None:
    ledger = Ledger(read=3)
    for _ in map_samples([make_sample(number) for number in range(3)], twice, ledger):
        ledger.drop("not wanted", fault=False)
    assert (ledger.made, ledger.drops) == (3, 6)
    ledger.require_balance("test")
