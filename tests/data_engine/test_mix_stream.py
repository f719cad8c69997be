"""Readers: every sample once an epoch, whatever their number; a killed one goes on at the exact sample."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.mix.stream import Stream, cut_ranges, share_out
from tests.data_engine.made_corpora import say, store
from vlm.errors import DataError
from vlm.records import Image

SAMPLES = 103


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = Image(path="a.png", width=8, height=8)
    return store(tmp_path_factory.mktemp("stream") / "a", [say(number, image) for number in range(SAMPLES)], shard=17)


def numbers(stream: Stream) -> list[int]:
    return [int(sample.id.rpartition("/")[2]) for sample in stream]


def streams(corpus: Path, readers: int, **options: int) -> list[Stream]:
    return [Stream(corpus, reader=reader, readers=readers, window=10, **options) for reader in range(readers)]


@pytest.mark.parametrize("readers", [1, 2, 4, 7])
def test_readers_share_every_epoch_without_loss_or_repeat(corpus, readers):
    together = streams(corpus, readers)
    seen = []
    for epoch in range(3):
        assert {stream.epoch for stream in together} == {epoch}
        sizes = [len(stream) for stream in together]
        assert max(sizes) - min(sizes) <= 1
        shares = [numbers(stream) for stream in together]
        assert [len(share) for share in shares] == sizes
        seen.append([number for share in shares for number in share])
        assert sorted(seen[-1]) == list(range(SAMPLES))
    assert seen[0] != seen[1] != seen[2]


def test_more_readers_than_samples_have_one_each_or_none(tmp_path):
    image = Image(path="a.png", width=8, height=8)
    few = store(tmp_path / "few", [say(number, image) for number in range(3)])
    shares = [numbers(stream) for stream in streams(few, 5)]
    assert sorted(map(len, shares)) == [0, 0, 1, 1, 1]
    assert sorted(number for share in shares for number in share) == [0, 1, 2]


def test_the_number_of_readers_does_not_change_the_order(corpus):
    alone = numbers(Stream(corpus, window=10))
    assert [number for stream in streams(corpus, 4) for number in numbers(stream)] == alone


def test_the_order_is_shuffled_across_the_store_and_the_seed_decides(corpus):
    order = numbers(Stream(corpus, window=10))
    assert abs(np.corrcoef(order, range(SAMPLES))[0, 1]) < 0.5
    assert np.abs(np.diff(order)).mean() > 3
    assert order == numbers(Stream(corpus, window=10))
    assert order != numbers(Stream(corpus, window=10, seed=1))
    assert numbers(Stream(corpus, window=10, shuffle=False)) == list(range(SAMPLES))


@settings(deadline=None, max_examples=12)
@given(stop=st.integers(0, SAMPLES), window=st.sampled_from([10, 17, 64, 1000]), epoch=st.integers(0, 2))
def test_a_state_goes_on_at_the_exact_sample(corpus, stop, window, epoch):
    stream = Stream(corpus, window=window)
    for _ in range(epoch):
        stream.skip(SAMPLES)
        assert numbers(stream) == []
    whole = Stream(corpus, window=window)
    whole.load_state_dict(stream.state_dict())
    expected = numbers(whole)
    taken = [next(iter(stream)) for _ in range(stop)]
    state = json.loads(json.dumps(stream.state_dict()))
    other = Stream(corpus, window=window)
    other.load_state_dict(state)
    assert len(other) == SAMPLES - stop
    assert [int(sample.id.rpartition("/")[2]) for sample in taken] + numbers(other) == expected
    assert numbers(other) == numbers(whole)


def test_skipping_is_reading_without_looking(corpus):
    read, skipped = Stream(corpus, window=10), Stream(corpus, window=10)
    for _ in range(37):
        next(iter(read))
    skipped.skip(37)
    assert skipped.state_dict() == read.state_dict()
    assert numbers(skipped) == numbers(read)


@pytest.mark.parametrize(("before", "after"), [(4, 2), (1, 3), (2, 7)])
def test_what_is_left_can_be_shared_among_another_number_of_readers(corpus, before, after):
    old = streams(corpus, before)
    seen = []
    for number, stream in enumerate(old):
        seen += [next(iter(stream)).id for _ in range(5 + number)]
    new = streams(corpus, after)
    for stream, state in zip(new, share_out([stream.state_dict() for stream in old], readers=after), strict=True):
        stream.load_state_dict(state)
    sizes = [len(stream) for stream in new]
    assert max(sizes) - min(sizes) <= 1
    rest = [sample.id for stream in new for sample in stream]
    assert len(seen + rest) == len(set(seen + rest)) == SAMPLES
    assert sorted(number for stream in new for number in numbers(stream)) == list(range(SAMPLES))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)), max_size=5), st.integers(1, 6))
def test_ranges_are_cut_without_loss(spans, readers):
    ranges = [(100 * at + start, 100 * at + start + length) for at, (start, length) in enumerate(spans)]
    parts = [cut_ranges(ranges, reader, readers) for reader in range(readers)]
    places = [place for part in parts for start, end in part for place in range(start, end)]
    assert places == [place for start, end in ranges for place in range(start, end)]


def test_only_windows_that_are_needed_are_read(corpus, monkeypatch):
    read = []
    real = Stream._read
    monkeypatch.setattr(Stream, "_read", lambda self, window: read.append(window) or real(self, window))
    stream = Stream(corpus, reader=1, readers=4, window=10)
    stream.skip(15)
    rest = numbers(stream)
    assert len(rest) == 11
    assert len(read) == len(set(read)) <= 3


def test_states_of_other_streams_are_refused(corpus):
    stream = Stream(corpus, window=10)
    with pytest.raises(DataError, match="it cannot go on here"):
        Stream(corpus, window=20).load_state_dict(stream.state_dict())
    ahead = Stream(corpus, window=10)
    ahead.skip(SAMPLES)
    numbers(ahead)
    with pytest.raises(DataError, match="of different streams or epochs"):
        share_out([stream.state_dict(), ahead.state_dict()], readers=2)
    with pytest.raises(DataError, match="reader 2 of 2"):
        Stream(corpus, reader=2, readers=2)


def test_a_damaged_shard_stops_the_reader_by_name(corpus, tmp_path):
    image = Image(path="a.png", width=8, height=8)
    folder = store(tmp_path / "a", [say(number, image) for number in range(20)], shard=10)
    victim = folder / "shard-00001.parquet"
    victim.write_bytes(victim.read_bytes()[:500])
    with pytest.raises(DataError, match=r"shard-00001\.parquet rows [05] to 9 cannot be read"):
        numbers(Stream(folder, window=5))


READER = """
import json, sys, time
from pathlib import Path
from data_engine.mix.stream import Stream
folder, reader, readers, journal, pause = sys.argv[1:]
stream = Stream(Path(folder), reader=int(reader), readers=int(readers), window=10)
lines = Path(journal).read_text().splitlines() if Path(journal).exists() else []
if lines:
    stream.load_state_dict(json.loads(lines[-1])["state"])
with open(journal, "a") as file:
    for sample in stream:
        file.write(json.dumps({"id": sample.id, "state": stream.state_dict()}) + "\\n")
        file.flush()
        time.sleep(float(pause))
"""


@pytest.mark.parametrize("readers", [1, 2, 4])
def test_killed_processes_go_on_without_loss_or_repeat(corpus, tmp_path, repository, readers):
    def start(reader: int, pause: float) -> subprocess.Popen[bytes]:
        words = [str(corpus), str(reader), str(readers), str(tmp_path / f"{reader}.jsonl"), str(pause)]
        return subprocess.Popen([sys.executable, "-c", READER, *words], cwd=repository)

    def written(reader: int) -> list[str]:
        path = tmp_path / f"{reader}.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    running = {reader: start(reader, 0.05) for reader in range(readers)}
    while running:
        for reader in [reader for reader in running if len(written(reader)) >= 6]:
            child = running.pop(reader)
            os.kill(child.pid, signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
        assert all(child.poll() is None for child in running.values())
    for reader in range(readers):
        path = tmp_path / f"{reader}.jsonl"
        text = path.read_text()
        path.write_text(text[: text.rindex("\n") + 1])
        assert 6 <= len(written(reader)) < SAMPLES // readers
    for child in [start(reader, 0) for reader in range(readers)]:
        assert child.wait() == 0
    seen = [json.loads(line)["id"] for reader in range(readers) for line in written(reader)]
    alone = [sample.id for sample in Stream(corpus, window=10)]
    assert seen == alone
