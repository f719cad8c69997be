"""Windows answered by servers: Nadir's own says what the model here says; others fail, come back, share the work."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image as PILImage

from serve.errors import RequestError
from serve.scan import ScanOptions, scan
from serve.scan.asking import EngineAsker, GoneError, LocalAsker
from serve.scan.findings import Finding
from serve.scan.journal import Journal
from serve.scan.run import run_scan
from serve.scan.servers import ServersAsker
from tests.serve.live import Live
from tests.serve.made_areas import square, write_area
from tests.vlm.made_rasters import UTM, checker, write_raster
from tests.vlm.tiny import build_tiny
from vlm.answer import Nadir
from vlm.checkpoint import save_checkpoint
from vlm.cli import main

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {"window_px": 64, "overlap": 0.25}
BOX = "<ref>square</ref><box>[[500,500,750,750]]</box>"
Reply = Callable[[dict[str, Any], int], tuple[int, Any]]


def completion(text: str) -> tuple[int, Any]:
    usage = {"prompt_tokens": 10, "completion_tokens": 3}
    return 200, {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": usage}


@contextmanager
def endpoint(reply: Reply, *, owner: str = "vllm") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve chat completions that `reply` gives for a body and its number; None breaks the connection off."""
    bodies: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": "theirs", "owned_by": owner}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                bodies.append(body)
                number = len(bodies) - 1
            status, content = reply(body, number)
            if content is None:
                self.close_connection = True
                return
            self._send(status, content)

        def _send(self, status: int, content: Any) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def area(tmp_path: Path) -> Path:
    return write_area(tmp_path / "area.tif", (200, 140), [square(x, 40, 12) for x in (20, 90, 150)])


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.scan.working._PAUSE_S", 0.001)
    monkeypatch.setattr("serve.scan.servers._FIRST_REST_S", 0.001)


def findings(folder: Path, windows: int) -> list[Finding]:
    with Journal(folder / "journal.jsonl", windows=windows) as journal:
        return [found for number in range(windows) if (found := journal.find(number)) is not None]


def test_a_server_of_nadir_says_what_the_model_says_here(nadir: Nadir, server: Live, tmp_path: Path) -> None:
    area = write_raster(tmp_path / "area.tif", checker(3, 120, 160), **UTM)
    options = ScanOptions(task="detect", window_px=64, overlap=0, budget=3, max_new_tokens=12)
    here = LocalAsker(nadir, model="tiny", digest="0")
    there = ServersAsker([server.url], at_once=2)
    run_scan(area, "Where are the cars?", out=tmp_path / "here.parquet", asker=here, options=options)
    run_scan(area, "Where are the cars?", out=tmp_path / "there.parquet", asker=there, options=options)
    there.close()
    one, two = (findings(tmp_path / f"{name}.parquet.scan", 6) for name in ("here", "there"))
    assert len(one) == len(two) == 6 and there.model == "tiny"
    assert [found.words for found in one] == [found.words for found in two]
    assert [found.regions for found in one] == [found.regions for found in two]


def test_any_server_that_speaks_openai_answers_pictures_at_the_gsd(area: Path, tmp_path: Path) -> None:
    with endpoint(lambda *_: completion(BOX)) as (url, bodies):
        done = scan(area, "Where?", out=tmp_path / "a.parquet", servers=[url], task="detect", gsd_m=1.0, **SMALL)
    assert done.ledger["answered"] == 4 == len(bodies) and done.ledger["prompt_tokens"] == 40
    (picture, words) = bodies[0]["messages"][0]["content"]
    data = base64.b64decode(picture["image_url"]["url"].partition(",")[2])
    assert np.asarray(PILImage.open(io.BytesIO(data))).shape == (64, 64, 3)
    assert words["text"] == "Where? Answer with all boxes." and bodies[0]["model"] == "theirs"
    assert "nadir" not in bodies[0] and bodies[0]["temperature"] == 0
    boxes = {tuple(float(value) for value in text.split(",")) for text in gpd.read_parquet(done.path).box_px}
    assert (64.0, 64.0, 96.0, 96.0) in boxes


def test_many_servers_share_the_work_and_one_that_fails_rests(area: Path, tmp_path: Path) -> None:
    def limp(_: dict[str, Any], number: int) -> tuple[int, Any]:
        return [(500, {}), (503, {}), (200, b"no json"), (200, None), (200, {"choices": []})][number % 5]

    with endpoint(lambda *_: completion("none")) as (one, asked), endpoint(limp) as (two, failed):
        asker = ServersAsker([one, f"{two}/v1/"], at_once=2)
        options = ScanOptions(window_px=32, overlap=0.25)
        done = run_scan(area, "Where?", out=tmp_path / "a.parquet", asker=asker, options=options)
        asker.close()
    assert done.ledger["answered"] + sum(done.ledger["failed"].values()) == done.ledger["planned"] == 48
    assert len(failed) >= 3 and len(asked) >= 40 and asker.at_once == 4


def test_a_window_that_a_server_refuses_fails_alone(area: Path, tmp_path: Path) -> None:
    def refuse(_: dict[str, Any], number: int) -> tuple[int, Any]:
        return (400, {"error": {"message": "too odd"}}) if number == 3 else completion("none")

    with endpoint(refuse) as (url, bodies):
        done = scan(area, "Where?", out=tmp_path / "a.parquet", servers=[url], **SMALL)
        (reason,) = done.ledger["failed"]
        assert "refuses a window (N too odd)" in reason and len(bodies) == 12
        again = scan(area, "Where?", out=tmp_path / "a.parquet", servers=[url], **SMALL)
        assert again.ledger["failed"] == {} and len(bodies) == 13


def test_servers_that_are_away_stop_the_scan_and_lose_nothing(area: Path, tmp_path: Path) -> None:
    def some(_: dict[str, Any], number: int) -> tuple[int, Any]:
        return completion("none") if number < 5 else (503, {"error": {"message": "busy"}})

    with endpoint(some) as (url, _):
        asker = ServersAsker([url], at_once=1, patience_s=0.05)
        with pytest.raises(GoneError, match="no server has answered"):
            run_scan(area, "Where?", out=tmp_path / "a.parquet", asker=asker, options=ScanOptions(**SMALL))
        asker.close()
    assert len(findings(tmp_path / "a.parquet.scan", 12)) == 5
    with endpoint(lambda *_: completion("none")) as (url, bodies):
        done = scan(area, "Where?", out=tmp_path / "a.parquet", servers=[url], **SMALL)
    assert len(bodies) == 7 and done.ledger["answered"] == 12
    with (
        endpoint(lambda *_: (401, {"error": {"message": "no key"}})) as (url, _),
        pytest.raises(GoneError, match="--key"),
    ):
        scan(area, "Where?", out=tmp_path / "b.parquet", servers=[url], **SMALL)


def test_servers_that_are_none_are_refused() -> None:
    with pytest.raises(RequestError, match="is no address"):
        ServersAsker(["localhost:8000"])
    with pytest.raises(RequestError, match="see that a server runs there"):
        ServersAsker(["http://127.0.0.1:9"])
    with endpoint(lambda *_: completion("")) as (url, _), pytest.raises(RequestError, match="does not serve mine"):
        ServersAsker([url], model="mine")


def test_the_command_scans_with_a_server_and_ends_with_a_line_of_json(
    area: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.gpkg"
    with endpoint(lambda *_: completion(BOX)) as (url, bodies):
        words = ["scan", str(area), "Where?", "--server", url, "--window", "64", "--overlap", "25%", "-o", str(out)]
        with pytest.raises(SystemExit) as end:
            main([*words, "--dry-run", "--price", "10"])
        assert end.value.code == 0 and not out.exists() and len(bodies) == 3
        assert "12 windows" in capsys.readouterr().err
        with pytest.raises(SystemExit) as end:
            main(words)
    assert end.value.code == 0
    said = capsys.readouterr()
    line = json.loads(said.out)
    assert line["out"] == str(out) and line["answered"] == 12 and line["features"] == len(gpd.read_file(out))
    assert "12 windows: 12 answered, 0 empty, 0 failed" in said.err
    for more, sentence in (
        (["--ray", "local"], "servers have their own models"),
        (["--overlap", "x"], "overlap 'x'"),
        (["--window", "3"], "expected 16"),
    ):
        with pytest.raises(SystemExit) as end:
            main([*words, *more])
        assert end.value.code == 2 and sentence in capsys.readouterr().err


def test_an_engine_of_the_server_answers_without_a_server(tmp_path: Path) -> None:
    from serve.scan.who import Who

    folder = tmp_path / "tiny"
    save_checkpoint(*build_tiny(), folder)
    area = write_raster(tmp_path / "area.tif", checker(3, 64, 128), **UTM)
    options = ScanOptions(task="caption", window_px=64, overlap=0, budget=2, max_new_tokens=4)
    from serve.engines.local import LocalEngine
    from serve.scan.who import HostedAsker

    asker = HostedAsker.host(LocalEngine.from_pretrained(folder, name="tiny"), at_once=2)
    done = run_scan(area, "Describe it.", out=tmp_path / "a.parquet", asker=asker, options=options)
    asker.close()
    assert done.features == 2 and isinstance(asker.inner, EngineAsker)
    with pytest.raises(RequestError, match="engine 'magic' is unknown"):
        Who(folder, engine="magic").build()


@pytest.mark.slow
def test_actors_of_ray_find_what_one_process_finds(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray (extra [ray])")
    folder = tmp_path / "tiny"
    save_checkpoint(*build_tiny(), folder)
    area = write_raster(tmp_path / "area.tif", checker(3, 128, 192), **UTM)
    words = ["scan", str(area), "Describe it.", "--model", str(folder), "--window", "64", "--overlap", "0"]
    words += ["--task", "caption", "--max-tokens", "4", "--budget", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    for name, more in (("one", []), ("ray", ["--ray", "local", "--actors", "2"])):
        command = [sys.executable, "-m", "vlm.cli", *words, *more, "--out", str(tmp_path / f"{name}.parquet")]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (gpd.read_parquet(tmp_path / f"{name}.parquet") for name in ("one", "ray"))
    assert len(one) == 6 and one.equals(two)
    assert Counter(one.kind) == {"window": 6}
