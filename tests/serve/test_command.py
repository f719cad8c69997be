"""`nadir serve` as a process: the commands of docs/serving.md run as they stand there, and bad starts are refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serve.client import Client
from serve.errors import RequestError
from serve.settings import Settings, require_safe
from tests.vlm.tiny import build_tiny
from vlm.checkpoint import save_checkpoint

PAGE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
BIN = Path(sys.executable).parent
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "nadir-nano"
    save_checkpoint(*build_tiny(), folder)
    return folder


def environment() -> dict[str, str]:
    """Give the environment of a user who has installed this checkout."""
    paths = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(PAGE.parents[1])}
    return {**os.environ, **paths, "HF_HUB_OFFLINE": "1"}


@contextmanager
def started(command: str, folder: Path) -> Iterator[str]:
    """Start a server and give its address; it ends by SIGTERM, in good order."""
    process = subprocess.Popen(
        command.split(), cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", line)
        assert found, (line, process.stderr and process.stderr.read())
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert "Traceback" not in said, said


@pytest.mark.slow
def test_the_commands_of_the_page_run(model: Path, tmp_path: Path, scene: Path) -> None:
    (_, start), *blocks = BLOCKS
    assert start.startswith("nadir serve ") and len(blocks) == 3
    shutil.copy(scene, tmp_path / "scene.tif")
    with started(f"{start.strip()} --model {model}".replace("8000", "0"), tmp_path) as url:
        for language, text in blocks:
            command = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
            here = text.replace("http://127.0.0.1:8000", url)
            options: Any = {"cwd": tmp_path, "env": environment(), "capture_output": True, "text": True, "timeout": 120}
            done = subprocess.run([*command, here], check=False, **options)
            assert done.returncode == 0, (text, done.stdout, done.stderr)
        assert done.stdout.strip().endswith("FeatureCollection")
    assert json.loads((tmp_path / "answer.json").read_text())["geojson"]["type"] == "FeatureCollection"
    assert json.loads((tmp_path / "tiles.json").read_text())["frame"] == "EPSG:3857"
    assert json.loads((tmp_path / "ships.geojson").read_text())["type"] == "FeatureCollection"
    kept = list((tmp_path / "rasters" / "rasters").iterdir())
    assert len(kept) == 1, "curl's raster was deleted, the client's is kept"


@pytest.mark.slow
def test_keys_from_the_environment_and_the_client(
    model: Path, tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADIR_KEYS", "first-key second-key")
    with started(f"nadir serve --model {model} --port 0 --data {tmp_path}", tmp_path) as url:
        with Client(url, key="first-key") as nadir:
            id = nadir.send(scene)
            answer = nadir.ask(id, "Where is the red car?", max_tokens=4, bands="1")
            assert answer["bands"] == "1" and [raster["id"] for raster in nadir.rasters()] == [id]
            with pytest.raises(RequestError, match=r"422: .*does not exist in scene\.tif"):
                nadir.ask(id, "Where?", bands="nope")
            nadir.delete(id)
        with Client(url) as stranger, pytest.raises(RequestError, match="401: the request carries no known key"):
            stranger.rasters()
    with Client(url) as late, pytest.raises(RequestError, match="cannot be reached"):
        late.rasters()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--host", "0.0.0.0"), "answers everybody who can reach it"),
        (("--key", "short"), "too short"),
        (("--engine", "magic"), "known are local, vllm"),
        (("--model", "nowhere"), "has no config.json"),
    ],
)
def test_bad_starts_are_refused_in_a_sentence(
    options: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vlm.cli import main

    with pytest.raises(SystemExit) as stop:
        main(["serve", "--data", str(tmp_path), "--port", "0", *options])
    assert stop.value.code == 2 and sentence in capsys.readouterr().err
    assert "CPL_VSIL_CURL_ALLOWED_FILENAME" not in os.environ, "what comes after in this process reads over http"


def test_a_port_that_is_taken_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vlm.cli import main

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit):
        main(["serve", "--data", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert "choose another with --port" in capsys.readouterr().err


def test_an_open_server_stays_on_this_machine(tmp_path: Path) -> None:
    require_safe(Settings(tmp_path), "127.0.0.1")
    require_safe(Settings(tmp_path, ("long enough".replace(" ", "-"),)), "0.0.0.0")
    with pytest.raises(RequestError, match="give --key"):
        require_safe(Settings(tmp_path), "::")
