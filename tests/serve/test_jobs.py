"""/v1/jobs: a scan that the server does by itself, watched, fetched, stopped, and gone on with after a restart."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest

from serve.client import Client
from serve.engines.engine import Load, Prompt
from serve.errors import BusyError, RateError, RequestError
from serve.settings import Settings, owner_of
from serve.store.jobs import JobStore
from tests.serve.live import FREE, Live, serving
from vlm.geometry import HBB, shift
from vlm.geometry.shapes import Window
from vlm.records import Answer, Region

BODY: dict[str, Any] = {"instruction": "Where are the ships?", "window": 64, "overlap": 0, "max_tokens": 4}


class Finder:
    """Say that there is a ship in the middle of every window; wait before each answer until it may."""

    name = "finder"

    def __init__(self, *, may: Callable[[int], bool] = lambda _: True) -> None:
        self.asked: list[Window] = []
        self._may = may

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Answer, None]:
        import asyncio

        while not self._may(len(self.asked)):
            await asyncio.sleep(0.005)
        window = prompt.request.window
        assert isinstance(window, Window)
        self.asked.append(window)
        box = shift(HBB(20, 20, 40, 40), window.x, window.y)
        yield Answer("{ref box:0}", (Region(box, "ship"),), "a ship")

    def load(self) -> Load:
        return Load(0, 0)

    async def close(self) -> None:
        return


def until(live: Live, job: str, *states: str) -> dict[str, Any]:
    """Wait until a job is in one of some states."""
    while (status := live.http.get(f"/v1/jobs/{job}").json())["state"] not in states:
        assert status["state"] in ("waiting", "running"), status
        time.sleep(0.01)
    return dict(status)


def test_a_job_is_started_watched_fetched_and_deleted(tmp_path: Path, scene: Path) -> None:
    with serving(Finder(), Settings(tmp_path / "data", limits=FREE)) as live, Client(live.url) as nadir:
        raster = nadir.send(scene)
        for format in ("parquet", "geojson", "gpkg"):
            job = nadir.start(raster, "Where are the ships?", window=64, overlap=0, format=format)
            status = nadir.wait(job, every_s=0.01)
            assert status["progress"]["done"] == status["progress"]["total"] == 6 == status["ledger"]["features"]
            read = gpd.read_parquet if format == "parquet" else gpd.read_file
            table = read(nadir.fetch(job, tmp_path / f"ships.{format}"))
            assert len(table) == 6 and set(table.source) == {"scene.tif"} and set(table.model) == {"finder"}
        listed = live.http.get("/v1/jobs").json()["data"]
        assert listed[0]["id"] == job and len(listed) == 3
        assert str(tmp_path) not in json.dumps(listed) and "owner" not in listed[0]
        nadir.stop(job)
        for method, path in (("GET", job), ("GET", f"{job}/result"), ("DELETE", job)):
            assert live.http.request(method, f"/v1/jobs/{path}").status_code == 404
        assert len(list((tmp_path / "data" / "jobs").iterdir())) == 2


def test_a_job_goes_on_after_the_server_has_ended(tmp_path: Path, scene: Path) -> None:
    settings = Settings(tmp_path / "data", limits=FREE)
    first, second = Finder(may=lambda asked: asked < 3), Finder()
    with serving(first, settings) as live:
        job = live.http.post("/v1/jobs", json={**BODY, "raster": live.send(scene)}).json()["id"]
        while live.http.get(f"/v1/jobs/{job}").json()["progress"].get("done") != 3:
            time.sleep(0.01)
        early = live.http.get(f"/v1/jobs/{job}/result")
        assert early.status_code == 503 and "is running" in early.json()["error"]["message"]
    with serving(second, settings) as live:
        status = until(live, job, "done")
        assert status["ledger"]["answered"] == 6 and len(first.asked) == 3 == len(second.asked)
        assert len(live.http.get(f"/v1/jobs/{job}/result").json()["features"]) == 6


def test_a_running_job_is_stopped_by_its_deletion(tmp_path: Path, scene: Path) -> None:
    finder = Finder(may=lambda asked: asked < 2)
    with serving(finder, Settings(tmp_path / "data", limits=FREE)) as live:
        raster = live.send(scene)
        jobs = [live.http.post("/v1/jobs", json={**BODY, "raster": raster}).json()["id"] for _ in range(4)]
        until(live, jobs[0], "running")
        for job in (jobs[3], jobs[0], jobs[1], jobs[2]):
            assert live.http.delete(f"/v1/jobs/{job}").status_code == 204
        assert live.http.get("/v1/jobs").json()["data"] == [] and not list((tmp_path / "data" / "jobs").iterdir())


def test_jobs_are_seen_by_their_key_alone_and_bounded(tmp_path: Path, scene: Path) -> None:
    limits = replace(FREE, jobs=3, jobs_per_key=2, job_windows=6)
    settings = Settings(tmp_path / "data", ("first-key", "second-key"), limits=limits)
    with serving(Finder(may=lambda _: False), settings) as live:
        raster = live.send(scene)
        body = {**BODY, "raster": raster}
        job = live.http.post("/v1/jobs", json=body).json()["id"]
        second = {"Authorization": "Bearer second-key"}
        for method, path in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
            assert live.http.request(method, f"/v1/jobs/{job}{path}", headers=second).status_code == 404
        assert live.http.get("/v1/jobs", headers=second).json()["data"] == []
        assert live.http.post("/v1/jobs", json=body, headers=second).status_code == 404, "the raster is another's"
        assert [live.http.post("/v1/jobs", json=body).status_code for _ in range(2)] == [202, 429]
        large = live.http.post("/v1/jobs", json={**body, "window": 50})
        assert large.status_code == 413 and "at most 6" in large.json()["error"]["message"]
        assert live.http.get("/v1/jobs", headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"raster": "nope"}, 404, "there is no raster"),
        ({"instruction": " "}, 400, "empty"),
        ({"task": "change"}, 400, "needs two"),
        ({"overlap": 64}, 422, "overlap"),
        ({"window": 4}, 422, "window"),
        ({"bands": "swir"}, 422, "scene.tif"),
        ({"dialect": "klingon"}, 422, "known are nadir"),
        ({"budget": 9999}, 413, "at most 64"),
        ({"max_tokens": 10**6}, 413, "at most"),
        ({"format": "shp"}, 422, "format"),
        ({"surprise": 1}, 422, "surprise"),
    ],
)
def test_what_cannot_be_a_job_is_refused(
    server: Live, scene: Path, change: dict[str, Any], status: int, sentence: str
) -> None:
    response = server.http.post("/v1/jobs", json={**BODY, "raster": server.send(scene), **change})
    assert response.status_code == status, response.text
    assert sentence in response.json()["error"]["message"] and str(server.settings.data) not in response.text


def test_the_model_itself_does_a_job(server: Live, scene: Path) -> None:
    raster = server.send(scene)
    body = {**BODY, "raster": raster, "task": "caption"}
    job = server.http.post("/v1/jobs", json=body).json()["id"]
    until(server, job, "done")
    features = server.http.get(f"/v1/jobs/{job}/result").json()["features"]
    assert len(features) == 6 and {feature["properties"]["kind"] for feature in features} == {"window"}
    assert server.http.delete(f"/v1/jobs/{job}").status_code == 204


def test_a_store_of_jobs_forgets_what_has_expired_and_what_is_damaged(tmp_path: Path) -> None:
    now = [1000.0]
    limits = replace(FREE, keep_s=100.0, jobs=2, jobs_per_key=1)
    store = JobStore(tmp_path, limits, now=lambda: now[0])
    mine = store.add(owner_of("a"), {"raster": "r", "format": "geojson"})
    store.add(owner_of("b"), {"raster": "r", "format": "geojson"})
    with pytest.raises(BusyError, match="which is the most"):
        store.add(owner_of("c"), {})
    store.update(mine.id, state="failed", error="gone")
    store.add(owner_of("c"), {})
    with pytest.raises(RateError, match="1 jobs of this key"):
        JobStore(tmp_path, replace(limits, jobs=9)).add(owner_of("c"), {})
    now[0] = 1099.0
    assert store.get(mine.id, owner_of("a")).error == "gone" and store.sweep() == 0
    now[0] = 1101.0
    assert store.sweep() == 1 and store.list_of(owner_of("a")) == [] and len(store.unfinished()) == 2
    (tmp_path / "jobs" / "half").mkdir()
    again = JobStore(tmp_path, limits, now=lambda: now[0])
    assert len(again.unfinished()) == 2 and not (tmp_path / "jobs" / "half").exists()


def test_the_client_says_why_a_job_has_failed(tmp_path: Path, scene: Path) -> None:
    gate = [False]
    settings = Settings(tmp_path / "data", limits=FREE)
    with serving(Finder(may=lambda _: gate[0]), settings) as live, Client(live.url) as nadir:
        raster = nadir.send(scene)
        blockers = [nadir.start(raster, "Where?", window=64, overlap=0) for _ in range(2)]
        job = nadir.start(raster, "Where?", window=64, overlap=0)
        while live.http.get(f"/v1/jobs/{blockers[1]}").json()["state"] != "running":
            time.sleep(0.01)
        nadir.delete(raster)
        gate[0] = True
        with pytest.raises(RequestError, match="has failed: there is no raster"):
            nadir.wait(job, every_s=0.01)
        with pytest.raises(RequestError, match=r"400: .*has failed"):
            nadir.fetch(job, tmp_path / "a.geojson")
