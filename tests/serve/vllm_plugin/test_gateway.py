"""The built-in model behind the whole server: it answers as the local engine does, and outlives the death of vLLM."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai
import pytest

from serve.app.build import build_app
from serve.app.running import build_server
from serve.engines.load import VllmChoice, load_vllm
from serve.engines.vllm import VllmEngine
from serve.settings import Limits, Settings
from vlm.answer import Nadir

QUESTIONS = (("Where are the ships?", "detect"), ("How many cars are there?", "count"), ("What is this?", "caption"))
LONG = {"structured_outputs": {"regex": "(?:a ){300}"}, "max_tokens": 600}


@dataclass(frozen=True)
class Gateway:
    """A running server with a vLLM of its own, and what it has said."""

    url: str
    engine: VllmEngine
    http: httpx2.Client
    said: list[str]

    def send(self, path: Path) -> str:
        return str(self.http.post("/v1/rasters", params={"name": path.name}, content=path.read_bytes()).json()["id"])

    def body(self, raster: str, words: str) -> dict:
        content = [{"type": "file", "file": {"file_id": raster}}, {"type": "text", "text": words}]
        return {"model": "nadir-nano", "messages": [{"role": "user", "content": content}]}


@pytest.fixture(scope="module")
def gateway(vllm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    limits = Limits(free_bytes=0, asks="100000/minute", uploads="100000/minute", views="100000/minute")
    settings, said = Settings(tmp_path_factory.mktemp("data"), limits=limits), []
    engine = load_vllm(None, settings, VllmChoice(options="--max-model-len 2048", say=said.append))
    assert isinstance(engine, VllmEngine)
    server = build_server(build_app(engine, settings), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        with httpx2.Client(base_url=url, timeout=300, trust_env=False) as http:
            yield Gateway(url, engine, http, said)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the server did not end"


def test_the_built_in_model_answers_as_the_local_engine_does(gateway: Gateway, scene: Path) -> None:
    local, raster = Nadir.from_pretrained(), gateway.send(scene)
    for words, task in QUESTIONS:
        body = {"instruction": words, "images": [raster], "task": task, "max_tokens": 48}
        given = gateway.http.post("/v1/ask", json=body).json()
        wanted = local.ask(scene, words, task=task, max_new_tokens=48)
        assert given["text"] == wanted.text, given
        assert len(given["regions"]) == len(wanted.regions) and given["geojson"]["type"] == "FeatureCollection"
    pair = {"images": [raster, raster], "max_tokens": 24}
    wanted = local.ask(scene, scene, "What has changed?", task="change", max_new_tokens=24)
    assert gateway.http.post("/v1/change", json=pair).json()["text"] == wanted.text


def test_openais_client_streams(gateway: Gateway, scene: Path) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none")
    body = gateway.body(gateway.send(scene), "Where are the ships?")
    whole = client.chat.completions.create(**body, max_tokens=24)
    chunks = list(client.chat.completions.create(**body, max_tokens=24, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].model_extra["nadir"]["cost"]["prompt_tokens"] == whole.usage.prompt_tokens


def test_vllm_killed_in_mid_stream_is_an_error_event_and_comes_back(gateway: Gateway, scene: Path) -> None:
    raster = gateway.send(scene)
    question = {**gateway.body(raster, "Where are the ships?"), "max_tokens": 24}
    before = gateway.http.post("/v1/chat/completions", json=question).json()["choices"][0]["message"]
    process = gateway.engine.upstreams[0].process
    assert process is not None
    events = []
    with gateway.http.stream("POST", "/v1/chat/completions", json={**question, **LONG, "stream": True}) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 3:
                    os.killpg(process.pid, signal.SIGKILL)
    assert events[-1]["error"]["type"] == "server_error" and "ask again" in events[-1]["error"]["message"]
    end = time.monotonic() + 600
    while (reply := gateway.http.post("/v1/chat/completions", json=question)).status_code != 200:
        assert reply.status_code == 503 and int(reply.headers["retry-after"]) >= 1, reply.text
        assert gateway.http.get("/health").status_code == 200 and time.monotonic() < end, gateway.said
        time.sleep(0.5)
    assert reply.json()["choices"][0]["message"] == before and process.starts == 2
    assert any("vLLM has died" in line for line in gateway.said)
