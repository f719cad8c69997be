"""What can be said about vLLM without one: releases, adapters, engines, processes that fail or lose their parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from serve.engines.load import VllmChoice, choose_engine, load_vllm, parse_adapters
from serve.engines.vllm_command import PYTHON, read_release, require_adapter, vllm_arguments
from serve.engines.vllm_process import VllmProcess
from serve.errors import RequestError
from serve.settings import Settings
from serve.vllm_plugin.features import Features
from serve.vllm_plugin.versions import describe_misfit


@pytest.mark.parametrize(
    ("found", "sentence"),
    [("0.32.0", ""), ("0.32.4+cpu", ""), ("0.33.0", "vLLM 0.33.0 is installed"), ("1.0", "written for 0.32.x")],
)
def test_other_releases_are_named(found: str, sentence: str) -> None:
    said = describe_misfit(found)
    assert sentence in said and bool(said) == bool(sentence)


def test_the_rooms_work_without_vllm() -> None:
    """Neither it nor torch is imported before something is asked of them."""
    code = "import sys, serve.vllm_plugin, serve.cli; sys.exit(bool({'vllm', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ}).returncode == 0


@pytest.mark.parametrize("python", ["/nowhere/python", sys.executable])
def test_a_python_without_vllm_is_a_sentence(python: str) -> None:
    with pytest.raises(RequestError, match=r"cannot be run|has no vLLM"):
        read_release(python)


def test_vllm_is_chosen_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv(PYTHON, sys.executable)
    assert choose_engine(None, VllmChoice(say=said.append)) == "vllm" and not said
    monkeypatch.delenv(PYTHON)
    assert choose_engine(None, VllmChoice(say=said.append)) == "local" and "one question at a time" in said[0]
    assert choose_engine(None, VllmChoice(upstreams=("http://127.0.0.1:1",))) == "vllm"
    with pytest.raises(RequestError, match="--adapter and --vllm are vLLM's"):
        choose_engine("local", VllmChoice(adapters=("a=b",)))


def test_what_cannot_be_served_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    with pytest.raises(RequestError, match="vLLM is not installed: make setup-vllm"):
        load_vllm(None, Settings(tmp_path))
    with pytest.raises(RequestError, match=r"no vLLM answers at http://127\.0\.0\.1:1"):
        load_vllm(None, Settings(tmp_path), VllmChoice(upstreams=("http://127.0.0.1:1/v1",)))
    with pytest.raises(RequestError, match="expected NAME=DIR"):
        parse_adapters(["ports=nowhere"])


def adapter(folder: Path, *names: str, whole: bool = False, fields: object = None) -> Path:
    """Write what looks like an adapter."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 12} if fields is None else fields))
    save_file({name: np.zeros((2, 2), np.float32) for name in names}, folder / "adapter_model.safetensors")
    save_file({"qformer.words.weight": np.zeros(1, np.float32)} if whole else {}, folder / "modules.safetensors")
    return folder


def test_adapters_of_the_language_model_are_served(tmp_path: Path) -> None:
    speaks = "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight"
    sees = "base_model.model.qformer.words.lora_A.weight"
    good = adapter(tmp_path / "good", speaks)
    assert require_adapter(good) == 12
    arguments = vllm_arguments(tmp_path, "tiny", on_cpu=True, images=8, adapters={"ports": good}, more=["--seed", "1"])
    assert arguments[arguments.index("--max-lora-rank") + 1] == "16" and arguments[-2:] == ["--seed", "1"]
    assert f"ports={good}" in arguments and arguments[arguments.index("--max-loras") + 1] == "2"
    for folder in (adapter(tmp_path / "sees", speaks, sees), adapter(tmp_path / "whole", speaks, whole=True)):
        with pytest.raises(RequestError, match=r"also changes .*qformer"):
            require_adapter(folder)
    for folder in (adapter(tmp_path / "odd", speaks, fields={"rank": 3}), tmp_path / "nowhere"):
        with pytest.raises(RequestError, match="no adapter in peft's format"):
            require_adapter(folder)


def test_a_vllm_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    process = VllmProcess(sys.executable, ["nowhere"], log=tmp_path / "vllm.log", say=lambda _: None)
    with pytest.raises(RequestError, match=r"did not start: nadir: vLLM is not installed.*its log is"):
        process.start()
    assert not process.ready and not process.socket.parent.exists()


def test_a_server_whose_starter_is_gone_ends() -> None:
    code = (
        "import threading, time; from serve.vllm_plugin.__main__ import _end_with_input as end;"
        "threading.Thread(target=end, daemon=True).start(); print('up', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"up\n" and process.poll() is None
    process.stdin.close()
    assert process.wait(60) == -signal.SIGTERM
    process.stdout.close()


def test_a_vllm_that_dies_is_started_again(tmp_path: Path) -> None:
    """A stand-in that answers /health: killed, it comes back; stopped, it does not, and nothing of it is left."""
    python = tmp_path / "python"
    stand_in = (
        "import http.server, socketserver, sys\n"
        "class Answers(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "    def address_string(self): return ''\n"
        "    def log_message(self, *a): pass\n"
        "socketserver.UnixStreamServer(sys.argv[-1], Answers).serve_forever()\n"
    )
    (tmp_path / "stand_in.py").write_text(stand_in)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path / "stand_in.py"} "$@"\n')
    python.chmod(0o755)
    said: list[str] = []
    process = VllmProcess(str(python), [], log=tmp_path / "vllm.log", say=said.append)
    process.start()
    first = process.pid
    os.killpg(first, signal.SIGKILL)
    wait_for(lambda: process.starts == 2 and process.ready)
    assert process.pid != first and "is started again in 1 s" in said[0] and said[-1] == "nadir: vLLM answers again"
    process.stop()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert process.starts == 2 and not process.socket.parent.exists()


def wait_for(condition: object, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_features_are_bounded_in_bytes_and_the_oldest_go() -> None:
    features, patches = Features(3 * 4 * 100), torch.ones(1, 10, 10)
    for key in range(3):
        features.put((key, 0), patches * key)
    assert features.bytes == 1200 and features.get((0, 0)) is not None
    features.put((3, 0), patches)
    assert features.get((1, 0)) is None and len(features) == 3
    assert torch.equal(features.get((0, 0)), patches * 0)  # type: ignore[arg-type]
    features.put((9, 9), torch.ones(4, 10, 10))
    assert features.get((9, 9)) is None and features.bytes == 1200
    assert (features.found, features.missed) == (2, 2)


def test_features_keep_copies_not_views() -> None:
    features, batch = Features(10_000), torch.zeros(4, 5, 5)
    features.put((1, 1), batch[:1])
    batch += 1
    kept = features.get((1, 1))
    assert kept is not None and kept.sum() == 0 and kept.untyped_storage().nbytes() == kept.nbytes
