"""The endpoint against a real server and its faults; answers that are kept, and the budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from data_engine.annotate.answers import Answers, BudgetSpentError
from data_engine.annotate.endpoint import (
    Asker,
    Endpoint,
    EndpointError,
    NoAnswerError,
    Reply,
    RequestRefusedError,
    parse_reply,
    parse_retry_after,
)
from tests.data_engine.model_server import (
    ModelServer,
    completion,
    cut_body,
    cut_json,
    hang,
    reply,
    reset,
    serve,
    status,
)
from vlm.errors import DataError, OutputError

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "seed": 0}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve(lambda body: f"answer to {body['messages'][-1]['content']}") as running:
        yield running


def endpoint(server: ModelServer, **changes: float | str) -> Endpoint:
    return replace(Endpoint(server.url, timeout_s=5.0, attempts=4, first_wait_s=0.01), **changes)


def test_an_answer_holds_text_and_tokens(server):
    with Asker(endpoint(server, key="secret")) as asker:
        assert asker.ask(BODY) == Reply("answer to hello", 100, 20)
    assert server.requests == [BODY]
    assert server.headers[0]["authorization"] == "Bearer secret"


FAULTS = {
    "429": status(429),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "529": status(529),
    "time-out": hang(0.6),
    "half a body": cut_body,
    "half a JSON": cut_json,
    "reset": reset,
    "not JSON": reply(b"<html>busy</html>"),
    "no choices": reply({"object": "error"}),
    "null content": reply({"choices": [{"message": {"content": None}}]}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_followed_by_another_attempt(server, name):
    server.faults = [FAULTS[name], FAULTS[name]]
    with Asker(endpoint(server, timeout_s=0.3 if name == "time-out" else 5.0)) as asker:
        assert asker.ask(BODY).text == "answer to hello"
    assert server.requests == [BODY] * 3


def test_all_attempts_fail_in_a_sentence_that_says_the_last(server):
    server.faults = [status(500), reset, cut_json, status(503)]
    with Asker(endpoint(server)) as asker, pytest.raises(NoAnswerError, match="in 4 attempts: 503 code 503"):
        asker.ask(BODY)
    assert len(server.requests) == 4


def test_a_server_that_is_not_there_is_said_to_be_so(server):
    gone = endpoint(server)
    server.server_close()
    with Asker(gone) as asker, pytest.raises(NoAnswerError, match="ConnectError"):
        asker.ask(BODY)


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_refused_request_is_not_sent_again(server, code):
    server.faults = [status(code)]
    with Asker(endpoint(server)) as asker, pytest.raises(RequestRefusedError, match=f"{code} code {code}"):
        asker.ask(BODY)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("code", "message"), [(401, "refuses the key"), (403, "forbids"), (404, "no such model")])
def test_what_cannot_work_stops_at_once(server, code, message):
    server.faults = [status(code)]
    with Asker(endpoint(server)) as asker, pytest.raises(EndpointError, match=message):
        asker.ask(BODY)
    assert len(server.requests) == 1


def test_waits_double_up_to_the_most_and_differ(server):
    waits: list[float] = []
    server.faults = [status(500)] * 7
    with Asker(endpoint(server, attempts=8, first_wait_s=1.0, most_wait_s=8.0), sleep=waits.append) as asker:
        asker.ask(BODY)
    bounds = [1, 2, 4, 8, 8, 8, 8]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    assert len(set(waits)) == 7


def test_retry_after_is_obeyed(server):
    server.faults = [status(429, {"retry-after": "1"})]
    with Asker(endpoint(server, first_wait_s=0.0)) as asker:
        asker.ask(BODY)
    assert 0.95 <= server.times[1] - server.times[0] < 3


def test_retry_after_holds_for_all_who_ask(server):
    clock, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    server.faults = [status(429, {"retry-after": "40"}), status(429, {"retry-after": "2"})]
    with Asker(endpoint(server, attempts=1), sleep=sleep, now=lambda: clock[0]) as asker:
        with pytest.raises(NoAnswerError):
            asker.ask(BODY)
        assert waits == []
    with Asker(endpoint(server, attempts=2), sleep=sleep, now=lambda: clock[0]) as asker:
        asker.ask(BODY)
        assert waits == [2.0]
        asker.ask(BODY)
        assert waits == [2.0]


def test_closing_ends_what_is_under_way(server):
    server.faults = [status(429, {"retry-after": "30"})]
    asker, caught = Asker(endpoint(server)), []

    def ask() -> None:
        try:
            asker.ask(BODY)
        except NoAnswerError as error:
            caught.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    time.sleep(0.1)
    asker.close()
    thread.join(5)
    assert caught == [f"{server.url}/chat/completions is not asked any more: the run was stopped"]


def test_retry_after_is_seconds_or_a_date():
    assert parse_retry_after(None) is None
    assert parse_retry_after("7") == 7
    assert parse_retry_after("0.5") == 0.5
    assert parse_retry_after("-3") == 0
    assert parse_retry_after("soon") is None
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < parse_retry_after(soon) <= 60
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_replies_without_usage_are_measured():
    assert parse_reply(completion("abc", finish="length")).cut
    assert parse_reply({"choices": [{"message": {"content": "x" * 40}}]}) == Reply("x" * 40, 0, 10)


def test_answers_are_kept_by_the_content_of_their_request(tmp_path: Path):
    path = tmp_path / "kept" / "answers.sqlite"
    with Answers(path) as answers:
        assert answers.find(BODY) is None
        answers.keep(BODY, Reply("a", 5, 7))
        answers.keep(BODY | {"seed": 1}, Reply("b", 1, 1, cut=True))
    with Answers(path) as answers:
        assert answers.find({"seed": 0, **BODY}) == Reply("a", 5, 7)
        assert answers.find(BODY | {"seed": 1}) == Reply("b", 1, 1, cut=True)
        assert answers.find(BODY | {"model": "other"}) is None
        assert answers.spent == 14


def test_the_budget_counts_what_is_spent_and_what_is_set_aside(tmp_path: Path):
    with Answers(tmp_path / "a.sqlite", budget=100) as answers:
        answers.reserve(60)
        second = threading.Thread(target=answers.reserve, args=(50,))
        second.start()
        second.join(0.1)
        assert second.is_alive()
        answers.keep(BODY, Reply("a", 30, 10))
        answers.release(60)
        second.join(5)
        assert not second.is_alive()
        answers.release(50)
        with pytest.raises(BudgetSpentError, match=r"budget of 100 tokens does not allow another .*: 40 are spent"):
            answers.reserve(61)
    with Answers(tmp_path / "a.sqlite", budget=100) as answers, pytest.raises(BudgetSpentError):
        answers.reserve(61)


def test_a_file_that_holds_no_answers_is_refused(tmp_path: Path):
    (tmp_path / "a.sqlite").write_bytes(b"this is no database, it is much too long for one" * 50)
    with pytest.raises(OutputError, match="cannot hold answers"):
        Answers(tmp_path / "a.sqlite")
    assert issubclass(BudgetSpentError, DataError)
