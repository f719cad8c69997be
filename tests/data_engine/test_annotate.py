"""The stage and the verb against a real server: words become samples, contradictions leave, nothing is asked twice."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from data_engine.annotate.annotate import AnnotateOptions, annotate_store
from data_engine.annotate.answers import BudgetSpentError
from data_engine.annotate.endpoint import EndpointError
from data_engine.annotations import scene_to_sample
from data_engine.objects import Scene
from data_engine.stage import StageOptions
from data_engine.store import read_samples
from tests.data_engine.made_corpora import encode, make_picture, run_verb, say, store
from tests.data_engine.made_samples import read_files
from tests.data_engine.model_server import ModelServer, completion, reply, serve, status
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Image, Region, Sample

OPTIONS = StageOptions()


def describe(body: dict[str, Any]) -> str:
    """Answer as a model would that sometimes counts by itself: every third image has one plane too many."""
    user = body["messages"][1]["content"]
    text = user if isinstance(user, str) else user[-1]["text"]
    planes = int(re.search(r"plane: (\d+)", text).group(1))
    if "objects" in body["messages"][0]["content"]:
        found = re.findall(r"^(\d+)\. plane", text, re.MULTILINE)
        return json.dumps(
            {"objects": [{"number": int(at), "text": f"A plane stands here, number {at}."} for at in found]}
        )
    wrong = planes + (planes % 3 == 0)
    return json.dumps({"captions": [f"There are {wrong} planes on the apron.", "Planes are parked at an airport."]})


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve(describe) as running:
        yield running


def scene(planes: int, *, image: Image | None = None) -> Sample:
    shown = image or Image(path=f"pictures/{planes}.png", width=900, height=900)
    boxes = tuple(Region(HBB(60 * at, 10, 60 * at + 40, 40), "plane") for at in range(planes))
    return scene_to_sample(Scene(f"made/{planes:02d}", shown, boxes, (), ("plane", "ship"), "made", "train", "CC0"))


def asked(server: ModelServer, **changes: Any) -> AnnotateOptions:
    return replace(AnnotateOptions(server.url, "m", attempts=3, timeout_s=5.0, concurrency=4), **changes)


def make_store(folder: Path, planes: range = range(1, 13)) -> Path:
    return store(folder, [scene(number) for number in planes], shard=5)


def test_captions_that_contradict_the_annotations_leave_with_the_reason(tmp_path: Path, server: ModelServer):
    corpus = make_store(tmp_path / "a")
    ledger = annotate_store(corpus, tmp_path / "out", asked(server, tries=1), options=OPTIONS)
    samples = list(read_samples(tmp_path / "out"))
    assert ledger.dropped == {"wrong number": 4}
    assert (ledger.read, ledger.made, ledger.kept) == (12, 12, 20)
    assert len(samples) == len({sample.id for sample in samples}) == 20
    for sample in samples:
        planes = int(sample.id.split("/")[1])
        assert sample.task == "caption"
        assert sample.images == scene(planes).images
        assert (sample.source, sample.licence) == ("made", "CC0")
        number = re.match(r"There are (\d+) planes on the apron$", sample.turns[0].answer.template)
        assert number is None or int(number.group(1)) == planes
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert lines[0]["where"] == "made/03/objects"
    assert lines[0]["detail"] == "'There are 4 planes on the apron.': the annotations hold 3 plane"
    assert all(body["model"] == "m" and "plane: " in body["messages"][1]["content"] for body in server.requests)


def test_order_and_bytes_do_not_depend_on_concurrency(tmp_path: Path, server: ModelServer):
    corpus = make_store(tmp_path / "a")
    annotate_store(corpus, tmp_path / "one", asked(server, concurrency=1), options=OPTIONS)
    server.slow_s = 0.05
    server.most_running = 0
    annotate_store(corpus, tmp_path / "many", asked(server, concurrency=4), options=OPTIONS)
    assert read_files(tmp_path / "one") == read_files(tmp_path / "many")
    assert 2 <= server.most_running <= 4


def test_one_request_for_all_samples_of_an_image(tmp_path: Path, server: ModelServer):
    whole = scene(2)
    other = replace(say("made/02/caption", whole.images[0], "two planes wait"), id="made/02/caption")
    corpus = store(tmp_path / "a", [whole, other, scene(4)])
    ledger = annotate_store(corpus, tmp_path / "out", asked(server), options=OPTIONS)
    assert len(server.requests) == 2
    asked_about = [request["messages"][1]["content"] for request in server.requests]
    assert sum("Caption: two planes wait" in text for text in asked_about) == 1
    assert (ledger.read, ledger.kept, ledger.dropped) == (3, 4, {"read with another": 1})


def test_objects_are_described_one_by_one(tmp_path: Path, server: ModelServer):
    corpus = store(tmp_path / "a", [scene(2)])
    wrong = asked(server, prompt="rs_gpt4v_local", tries=1)
    ledger = annotate_store(corpus, tmp_path / "out", wrong, options=OPTIONS)
    assert ledger.dropped == {"unfounded number": 2}
    server.answer = lambda body: json.dumps(
        {"objects": [{"number": 1, "text": "A plane at the top left."}, {"number": 9, "text": "A plane."}]}
    )
    annotate_store(corpus, tmp_path / "again", replace(wrong, model="other"), options=OPTIONS)
    (sample,) = read_samples(tmp_path / "again")
    assert sample.task == "region"
    assert sample.turns[0].regions[0].geometry == HBB(0, 10, 40, 40)
    assert "{box:0}" in sample.turns[0].instruction
    assert sample.turns[0].answer.template == "A plane at the top left"


def test_images_are_sent_as_small_jpegs(tmp_path: Path, server: ModelServer):
    picture = make_picture(1).resize((1200, 900))
    image = Image(data=encode(picture), width=1200, height=900)
    corpus = store(tmp_path / "a", [scene(2, image=image)])
    annotate_store(corpus, tmp_path / "out", asked(server, images=True, picture_px=600), options=OPTIONS)
    part = server.requests[0]["messages"][1]["content"][0]
    header, data = part["image_url"]["url"].split(",")
    assert header == "data:image/jpeg;base64"
    assert Picture.open(io.BytesIO(base64.b64decode(data))).size == (600, 450)


def test_an_answer_that_cannot_be_read_is_asked_for_again(tmp_path: Path, server: ModelServer):
    server.faults = [reply(completion('{"captions": ["cut o')), reply(completion("{}", finish="length"))]
    corpus = store(tmp_path / "a", [scene(1)])
    ledger = annotate_store(corpus, tmp_path / "out", asked(server, tries=3), options=OPTIONS)
    assert ledger.kept == 2
    assert [body["seed"] for body in server.requests] == [0, 1, 2]
    server.faults = [reply(completion("no JSON")), reply(completion('{"captions": []}'))]
    other = store(tmp_path / "b", [scene(2), scene(4)])
    ledger = annotate_store(other, tmp_path / "none", asked(server, tries=1, concurrency=1), options=OPTIONS)
    assert ledger.dropped == {"unreadable answer": 1, "empty answer": 1}


def test_a_dead_service_costs_samples_up_to_max_rejects(tmp_path: Path, server: ModelServer):
    server.faults = [status(400)] + [status(500)] * 3
    corpus = make_store(tmp_path / "a")
    patient = asked(server, concurrency=1, tries=1)
    ledger = annotate_store(corpus, tmp_path / "out", patient, options=OPTIONS)
    assert ledger.dropped == {"refused request": 1, "no answer": 1, "wrong number": 4}
    assert ledger.faults == 2
    server.faults = [status(400)] * 100
    with pytest.raises(DataError, match="faults are more than --max-rejects 3 allows"):
        annotate_store(corpus, tmp_path / "dead", patient, options=replace(OPTIONS, max_rejects=3))
    server.faults = [status(401)]
    with pytest.raises(EndpointError, match="refuses the key: set --key-from"):
        annotate_store(corpus, tmp_path / "locked", patient, options=OPTIONS)


def test_images_without_facts_are_not_asked_about(tmp_path: Path, server: ModelServer):
    image = Image(path="a.png", width=10, height=10)
    pair = say("pair", (image, image), task="change")
    nothing = say("ground", image, "{box:0}", task="ground", regions=[Region(HBB(1, 1, 5, 5), "it")])
    corpus = store(tmp_path / "a", [pair, nothing])
    ledger = annotate_store(corpus, tmp_path / "out", asked(server), options=OPTIONS)
    assert ledger.dropped == {"no facts": 2}
    assert ledger.faults == 0
    assert server.requests == []


def test_a_spent_budget_stops_and_a_larger_one_goes_on_without_asking_again(tmp_path: Path, server: ModelServer):
    corpus = make_store(tmp_path / "a")
    little = asked(server, tries=1, concurrency=2, budget=1800)
    with pytest.raises(BudgetSpentError, match="raise --budget, and the same command goes on"):
        annotate_store(corpus, tmp_path / "out", little, options=OPTIONS)
    first = len(server.requests)
    assert 5 <= first < 12
    ledger = annotate_store(corpus, tmp_path / "out", replace(little, budget=100_000), options=OPTIONS)
    assert (ledger.read, ledger.kept) == (12, 20)
    assert len(server.requests) == 12
    assert len({json.dumps(body) for body in server.requests}) == 12
    fresh = annotate_store(
        corpus, tmp_path / "again", replace(little, cache=tmp_path / "out.answers.sqlite"), options=OPTIONS
    )
    assert fresh.kept == 20
    assert len(server.requests) == 12
    annotate_store(corpus, tmp_path / "whole", asked(server, tries=1), options=OPTIONS)
    assert read_files(tmp_path / "out") == read_files(tmp_path / "whole") == read_files(tmp_path / "again")


def verb(corpus: Path, out: Path, server: ModelServer, *more: str) -> list[str]:
    where = ["--endpoint", server.url, "--model", "m", "--tries", "1", "--concurrency", "2"]
    return ["annotate", str(corpus), str(out), *where, *more]


def test_a_killed_run_goes_on_and_asks_nothing_twice(tmp_path: Path, server: ModelServer, repository: Path):
    corpus = make_store(tmp_path / "a")
    server.slow_s = 0.15
    words = [sys.executable, "-m", "data_engine", *verb(corpus, tmp_path / "out", server)]
    child = subprocess.Popen(words, cwd=repository, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(server.requests) < 8:
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    server.slow_s = 0
    run_verb(*verb(corpus, tmp_path / "out", server))
    asked_for = Counter(json.dumps(body) for body in server.requests)
    assert len(asked_for) == 12
    assert sum(asked_for.values()) <= 12 + 2
    annotate_store(corpus, tmp_path / "whole", asked(server, tries=1), options=OPTIONS)
    assert read_files(tmp_path / "out") == read_files(tmp_path / "whole")


def test_the_verb_ends_with_what_it_cost(tmp_path: Path, server: ModelServer, capsys: pytest.CaptureFixture[str]):
    corpus = make_store(tmp_path / "a", range(1, 4))
    run_verb(*verb(corpus, tmp_path / "out", server, "--dry-run"))
    assert not (tmp_path / "out").exists()
    assert server.requests == []
    capsys.readouterr()
    run_verb(*verb(corpus, tmp_path / "out", server))
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary["kept"], summary["dropped"], summary["tokens"]) == (5, {"wrong number": 1}, 360)
    assert Path(summary["answers"]).is_file()


def test_mistakes_are_sentences(tmp_path: Path, server: ModelServer):
    corpus = make_store(tmp_path / "a", range(1, 3))
    with pytest.raises(DataError, match="annotate cannot write into its own input"):
        annotate_store(corpus, corpus, asked(server), options=OPTIONS)
    with pytest.raises(DataError, match="no prompt 'poem'"):
        annotate_store(corpus, tmp_path / "out", asked(server, prompt="poem"), options=OPTIONS)
    annotate_store(corpus, tmp_path / "out", asked(server), options=OPTIONS)
    with pytest.raises(DataError, match="holds the output of another run"):
        annotate_store(corpus, tmp_path / "out", asked(server, model="other"), options=OPTIONS)
