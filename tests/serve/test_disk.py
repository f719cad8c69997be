"""A disk that is full: a real one, of three megabytes, that a process of the test's own has to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vlm.made_rasters import UTM, checker, write_raster

ROOT = Path(__file__).resolve().parents[2]
OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount"]

FILL = """
import json, os, sys
from pathlib import Path
from serve.errors import BusyError
from serve.settings import Limits
from serve.store.rasters import RasterStore

disk, scene = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()

def keep():
    with store.receiving("me", "scene.tif") as incoming:
        incoming.write(scene)
        return incoming.keep()

def room():
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize

store = RasterStore(disk / "data", Limits(free_bytes=0))
kept = [keep()]
busy = []
for left in range(len(scene) + 20_000, -1, -4096):  # from room for the raster and its description down to none
    (disk / "others").write_bytes(b"")
    (disk / "others").write_bytes(bytes(max(0, room() - left)))
    try:
        kept.append(keep())
    except BusyError as error:
        busy.append(str(error))
    assert not list((disk / "data" / "incoming").iterdir()), "what was not kept is gone"
    for raster in kept[1:]:
        store.delete(raster.id, "me")
    del kept[1:]
(disk / "others").unlink()
assert busy and store.coming.total() == 0
kept.append(keep())
assert [raster.id for raster in RasterStore(disk / "data", Limits()).list("me")] == [r.id for r in reversed(kept)]
print(json.dumps(sorted({sentence.split(":")[0] for sentence in busy})))
"""

ASK = """
import base64, os, sys, threading, time
from pathlib import Path
import httpx2
from serve.settings import Limits, Settings
from tests.serve.live import live
from tests.vlm.tiny import build_tiny
from vlm.answer import Nadir

disk, scene = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
picture = "data:image/tiff;base64," + base64.b64encode(scene).decode()
with live(Nadir(*build_tiny()), disk / "data", limits=Limits(free_bytes=0)) as own:
    body = {"instruction": "How many?", "images": [picture], "max_tokens": 2}
    assert own.http.post("/v1/ask", json=body).status_code == 200
    found = os.statvfs(disk)
    (disk / "others").write_bytes(bytes(found.f_bavail * found.f_frsize))
    for response in (own.http.post("/v1/ask", json=body), own.http.post("/v1/rasters", content=scene)):
        assert response.status_code == 503 and "disk" in response.json()["error"]["message"], response.text
    assert own.http.get("/health").status_code == own.http.get("/metrics").status_code == 200
    (disk / "others").unlink()
    assert own.http.post("/v1/ask", json=body).status_code == 200
print("answered")
"""


def run_on_a_small_disk(script: str, tmp_path: Path, scene: Path) -> str:
    """Run a script with a disk of 3 MB, and give what it prints; skip where no such disk can be had."""
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = 'mount -t tmpfs -o size=3m none "$1" || exit 77; exec "$3" -c "$4" "$1" "$2"'
    command = [*OWN_DISK, "bash", "-c", inside, "bash", str(disk), str(scene), sys.executable, script]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=500
        )
    except FileNotFoundError:
        pytest.skip("needs unshare, which this machine has not")
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip(f"needs a mount of its own: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def large_scene(tmp_path: Path) -> Path:
    return write_raster(tmp_path / "scene.tif", checker(3, 120, 160), **UTM)


def test_uploads_to_a_full_disk_are_refused_and_leave_nothing(tmp_path: Path, large_scene: Path) -> None:
    said = run_on_a_small_disk(FILL, tmp_path, large_scene)
    assert "the server's disk is full" in said, said


@pytest.mark.slow
def test_a_server_on_a_full_disk_refuses_and_recovers(tmp_path: Path, large_scene: Path) -> None:
    assert run_on_a_small_disk(ASK, tmp_path, large_scene).strip() == "answered"
