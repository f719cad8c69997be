"""An endpoint on this machine: faults are asked again, answers are kept, a killed run repeats no answered request."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eval_suites.__main__ import main
from eval_suites.cases import Case, load_cases
from eval_suites.images import image_size
from eval_suites.models.endpoint import Client, Endpoint, EndpointError, parse_reply
from eval_suites.models.find import ModelOptions, find_model
from eval_suites.models.pictures import encode_images
from eval_suites.models.served import Asking, ServedAnswerer
from tests.data_engine.model_server import ModelServer, cut_body, cut_json, hang, reply, reset, serve, status
from tests.eval_suites.made_cases import make_case
from tests.eval_suites.made_files import write_picture, write_scene_cases
from vlm.dialects import smart_resize

ROOT = Path(__file__).resolve().parents[2]


def words(body: dict[str, Any]) -> str:
    return " ".join(part["text"] for part in body["messages"][0]["content"] if part["type"] == "text").strip()


def pictures(body: dict[str, Any]) -> list[Image.Image]:
    urls = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


def build(server: ModelServer, folder: Path, **changes: Any) -> ServedAnswerer:
    endpoint = Endpoint(server.url, "m", timeout_s=changes.pop("timeout_s", 5.0), attempts=8, first_wait_s=0.001)
    answerer = ServedAnswerer(endpoint, Asking(**changes))
    folder.mkdir(exist_ok=True)
    answerer.begin(folder)
    return answerer


def made(tmp_path: Path, count: int = 4) -> tuple[Case, ...]:
    return load_cases(write_scene_cases(tmp_path / "cases", count=count)).cases


def test_a_question_goes_with_its_image_and_comes_back_as_text(tmp_path: Path) -> None:
    cases = made(tmp_path)
    with serve(lambda body: f"{pictures(body)[0].getpixel((0, 0))}") as server:
        answerer = build(server, tmp_path / "run", concurrency=3, extra={"top_p": 0.5, "temperature": None})
        told = list(answerer.ask(cases, max_new_tokens=7, blind=False))
        answerer.close()
    assert told == [f"{Image.open(case.images[0]).getpixel((0, 0))}" for case in cases]
    body = server.requests[0]
    assert words(body) == "What is the scene class?"
    assert (body["max_tokens"], body["top_p"], "temperature" in body) == (7, 0.5, False)


def test_faults_are_asked_again_and_cost_no_answer(tmp_path: Path) -> None:
    faults = [status(429, {"retry-after": "0.01"}), status(500), status(503), cut_json, cut_body, reset, hang(0.4)]
    with serve(lambda body: "beach") as server:
        server.faults = list(faults)
        answerer = build(server, tmp_path / "run", concurrency=2, timeout_s=0.2)
        assert list(answerer.ask(made(tmp_path), max_new_tokens=8, blind=False)) == ["beach"] * 4
        answerer.close()
    assert len(server.requests) == 4 + len(faults)


def test_refusals_are_empty_answers_that_are_counted(tmp_path: Path) -> None:
    filtered = {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "content_filter"}]}
    with serve(lambda body: "beach") as server:
        server.faults = [status(400), reply(filtered)]
        answerer = build(server, tmp_path / "run", concurrency=1)
        assert list(answerer.ask(made(tmp_path), max_new_tokens=8, blind=False)) == ["", "", "beach", "beach"]
        assert answerer.facts["refused"] == 2
        assert answerer.facts["answered"] == 4
        answerer.close()


@pytest.mark.parametrize(("code", "sentence"), [(401, "refuses the key"), (404, "knows no such model")])
def test_what_no_patience_helps_stops_the_run(code: int, sentence: str, tmp_path: Path) -> None:
    with serve(lambda body: "beach") as server:
        server.faults = [status(code)]
        answerer = build(server, tmp_path / "run", concurrency=1)
        with pytest.raises(EndpointError, match=sentence):
            list(answerer.ask(made(tmp_path), max_new_tokens=8, blind=False))
        answerer.close()


def test_a_dead_endpoint_stops_the_run_after_all_attempts() -> None:
    client = Client(Endpoint("http://127.0.0.1:9/v1", "m", attempts=2, first_wait_s=0.001), connections=1)
    with pytest.raises(EndpointError, match="no answer in 2 attempts"):
        client.complete({})


def test_kept_answers_are_found_by_model_and_request(tmp_path: Path) -> None:
    cases = made(tmp_path)
    with serve(lambda body: "beach") as server:
        for _ in range(2):
            answerer = build(server, tmp_path / "run")
            assert list(answerer.ask([*cases, *cases], max_new_tokens=8, blind=False)) == ["beach"] * 8
            answerer.close()
        assert len(server.requests) == 4
        (kept,) = (tmp_path / "run").iterdir()
        kept.write_bytes(kept.read_bytes()[:-9])
        answerer = build(server, tmp_path / "run")
        list(answerer.ask(cases, max_new_tokens=8, blind=False))
        assert len(server.requests) == 5
        list(answerer.ask(cases, max_new_tokens=9, blind=False))
        assert len(server.requests) == 9
        answerer.close()
        assert all(json.loads(line) for line in kept.read_text().splitlines())


def test_the_only_served_model_need_not_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(handler: Any) -> None:
        handler.say(200, {"data": [{"id": name} for name in names]})

    monkeypatch.setattr("tests.data_engine.model_server.Handler.do_GET", get, raising=False)
    with serve(lambda body: "beach") as server:
        names = ["only"]
        answerer = find_model(server.url, ModelOptions())
        assert (answerer.name, answerer.dialect) == ("only", "qwen3")
        answerer.close()
        names = ["one", "two"]
        with pytest.raises(EndpointError, match=r"serves one, two: name one, as in .*#one"):
            find_model(server.url, ModelOptions())


def test_absolute_pixel_models_see_the_image_that_their_numbers_are_about(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", size=(100, 61))
    case = make_case(0, size=(100, 61))
    case = Case(case.id, case.group, (str(path),), case.sizes, None, "?", "c", (), (), form="box", phrase="The car.")
    with serve(lambda body: "[]") as server:
        for dialect in ("qwen2.5", "qwen3"):
            answerer = build(server, tmp_path / dialect, dialect=dialect, most_px=50)
            list(answerer.ask([case], max_new_tokens=8, blind=False))
            answerer.close()
    assert pictures(server.requests[0])[0].size == smart_resize((100, 61))
    assert pictures(server.requests[1])[0].size == (50, 30)
    assert words(server.requests[0]) == "Locate car, output the bbox coordinates using JSON format."


def test_threads_that_open_images_leave_the_warnings_as_they_were(tmp_path: Path) -> None:
    """The running score reads sizes while others encode images; each silences warnings for the whole process."""
    cases = made(tmp_path, count=24)
    before, interval = list(warnings.filters), sys.getswitchinterval()

    def open_all(number: int) -> None:
        encode_images(cases[number], dialect="qwen3", most_px=16)
        for case in cases:
            image_size.__wrapped__(case.images[0])

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(open_all, range(24)))
        assert warnings.filters == before
    finally:
        sys.setswitchinterval(interval)
        warnings.filters[:] = before


def test_thoughts_are_no_answer() -> None:
    message = {"content": "B", "reasoning_content": "it is wide"}
    told = parse_reply({"choices": [{"message": message, "finish_reason": "length"}], "usage": None})
    assert (told.text, told.thought, told.cut) == ("B", "it is wide", True)


def test_a_killed_run_repeats_no_answered_request_and_loses_none(tmp_path: Path) -> None:
    """Kill -9 while five requests are answered and the others wait; the second run asks for the others alone."""
    cases = write_scene_cases(tmp_path / "cases")
    answered, go_on = threading.Semaphore(5), threading.Event()

    def answer(body: dict[str, Any]) -> str:
        if not answered.acquire(blocking=False):
            go_on.wait(20)
        return "beach"

    with serve(answer) as server:
        command = [sys.executable, "-m", "eval_suites", "run", "rsicd-scene", "--cases", str(cases)]
        command += ["--model", f"{server.url}#m", "--out", str(tmp_path / "out"), "--concurrency", "3"]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        kept = tmp_path / "out" / "rsicd-scene"
        deadline = time.monotonic() + 30
        while count_lines(kept) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        go_on.set()
        first = [json.dumps(body) for body in server.requests]
        main([*command[3:]])
        asked = Counter(json.dumps(body) for body in server.requests)
        main([*command[3:]])
    assert len(asked) == 13
    assert sum(asked.values()) == len(server.requests), "a finished run was asked again"
    repeated = [body for body, times in asked.items() if times > 1]
    assert len(repeated) <= 3
    assert all(body in first for body in repeated)
    result = json.loads((kept / "result.json").read_text())
    assert result["n"] == 12
    assert result["scores"]["accuracy"]["value"] == 0.5
    assert result["model"]["answered"] == 13
    samples = [json.loads(line) for line in (kept / "samples.jsonl").read_text().splitlines()]
    assert [row["output"] for row in samples] == ["beach"] * 12


def count_lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("responses-*.jsonl"))
