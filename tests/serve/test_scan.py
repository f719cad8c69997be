"""A scan end to end: what is skipped, answered, failed and written; stopped, killed and damaged, it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest

from serve.errors import BusyError, RequestError, StoppedError
from serve.scan import ScanOptions, scan
from serve.scan.asking import AnswerError, GoneError, LocalAsker, View
from serve.scan.findings import Finding, finding_from_dict, finding_to_dict
from serve.scan.journal import Journal, parse_line, render_line
from serve.scan.options import parse_overlap
from serve.scan.run import run_scan
from tests.serve.made_areas import BrightAsker, square, turned, write_area
from tests.vlm.made_rasters import write_raster
from vlm.answer import Nadir
from vlm.errors import InstructionError, NadirError, OutputError, RasterError, WindowError
from vlm.geometry import HBB, OBB, Mask, Polygon, shift
from vlm.geometry.shapes import Window
from vlm.records import Region

ROOT = Path(__file__).resolve().parents[2]
SQUARES = [square(x, y, 14) for x in (20, 64, 100, 170) for y in (20, 64, 120)]
SMALL: dict[str, Any] = {"window_px": 64, "overlap": 0.25}


@pytest.fixture
def area(tmp_path: Path) -> Path:
    return write_area(tmp_path / "area.tif", (200, 140), SQUARES)


def table_of(path: Path) -> gpd.GeoDataFrame:
    read = gpd.read_parquet if path.suffix == ".parquet" else gpd.read_file
    return read(path).sort_values("box_px", ignore_index=True)


def test_every_format_holds_the_same_features_where_they_are(area: Path, tmp_path: Path) -> None:
    tables = {}
    for suffix in ("parquet", "gpkg", "geojson"):
        done = scan(area, "Where are the squares?", out=tmp_path / f"a.{suffix}", asker=BrightAsker(), **SMALL)
        assert done.features == len(SQUARES) == done.ledger["features"]
        tables[suffix] = table_of(done.path)
    first = tables["parquet"]
    assert first.crs.to_epsg() == 32633 == tables["gpkg"].crs.to_epsg() and tables["geojson"].crs.to_epsg() == 4326
    assert first.geometry.area.round(3).tolist() == [49.0] * len(SQUARES)
    assert np.allclose(first.area_m2, 49, rtol=2e-3)
    for table in tables.values():
        moved = table.to_crs(first.crs)
        assert (moved.geometry.centroid.distance(first.geometry.centroid) < 0.05).all()
        assert (table.label == "square").all() and (table.model == "bright").all() and (table.source == str(area)).all()
        assert (table.instruction == "Where are the squares?").all() and set(table.kind) == {"box"}
    x, y, w, h = map(int, first.window[0].split(","))
    assert (w, h) == (64, 64) and x + w <= 200 and y + h <= 140


def test_words_become_windows_and_a_second_call_is_done_already(area: Path, tmp_path: Path) -> None:
    asker = BrightAsker(words="a town, window {number}")
    done = scan(area, "Describe it.", out=tmp_path / "a.gpkg", asker=asker, task="caption", **SMALL)
    table = table_of(done.path)
    assert len(table) == done.ledger["planned"] == 12 and set(table.kind) == {"window"}
    assert sorted(table.words) == sorted(f"a town, window {number}" for number in range(12))
    assert np.isclose(table.union_all().area, 200 * 140 / 4) and not done.ledger["failed"]
    asked = len(asker.asked)
    again = scan(area, "Describe it.", out=tmp_path / "a.gpkg", asker=asker, task="caption", **SMALL)
    assert len(asker.asked) == asked and again.ledger == done.ledger
    with pytest.raises(OutputError, match=r"another scan \(instruction differ\).*--fresh"):
        scan(area, "Another?", out=tmp_path / "a.gpkg", asker=asker, task="caption", **SMALL)
    fresh = scan(area, "Another?", out=tmp_path / "a.gpkg", asker=asker, task="caption", fresh=True, **SMALL)
    assert fresh.features == 12


def test_empty_windows_are_skipped_and_counted(tmp_path: Path) -> None:
    band = np.full((1, 200, 200), 40, np.uint8)
    band[:, :, 100:] = 0
    band[:, 150:153, 180:183] = 9
    path = write_raster(tmp_path / "a.tif", band, nodata=0, **turned())
    asker = BrightAsker(words="yes")
    done = scan(path, "Is there a road?", out=tmp_path / "a.parquet", asker=asker, window_px=50, overlap=0)
    assert done.ledger["planned"] == 16 and done.ledger["empty"] == 7 and done.ledger["answered"] == 9
    assert len(asker.asked) == 9 == len(table_of(done.path))


def test_a_coarser_gsd_looks_at_more_ground_through_fewer_windows(area: Path, tmp_path: Path) -> None:
    options = ScanOptions(gsd_m=1.0, window_px=64, overlap=0.25)
    done = run_scan(area, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), options=options)
    table = table_of(done.path)
    assert done.ledger["planned"] == 4 and len(table) == len(SQUARES)
    assert set(table.window) <= {"0,0,128,128", "72,0,128,128", "0,12,128,128", "72,12,128,128"}
    assert done.ledger["km2"] == pytest.approx(200 * 140 * 0.25 / 1e6, abs=1e-3)


class Unruly(BrightAsker):
    """Fail at some windows: for good, for a while, or because the queue is full."""

    def __init__(self, faults: dict[int, list[BaseException]]) -> None:
        super().__init__()
        self.faults = faults

    def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
        for view in views:
            if self.faults.get(view.number):
                raise self.faults[view.number].pop(0)
        return super().ask(instruction, views, options)


def test_windows_that_fail_are_asked_again_recorded_and_stop_nothing(
    area: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.scan.working._PAUSE_S", 0.001)
    asker = Unruly({
        0: [AnswerError("cut off"), ValueError("no JSON")],
        1: [RequestError("refused at 64")],
        2: [AnswerError("cut off")] * 3,
        3: [BusyError("full")] * 20,
        4: [RequestError("refused at 128")],
    })  # fmt: skip
    done = scan(area, "Where?", out=tmp_path / "a.parquet", asker=asker, **SMALL)
    assert done.ledger["failed"] == {"RequestError: refused at N": 2, "AnswerError: cut off": 1}
    assert done.ledger["answered"] == 9 and done.ledger["planned"] == 12
    again = scan(area, "Where?", out=tmp_path / "a.parquet", asker=asker, **SMALL)
    assert again.ledger["failed"] == {} and again.features == len(SQUARES) and asker.asked.count(5) == 1


def test_when_nobody_answers_the_scan_stops_and_goes_on_later(area: Path, tmp_path: Path) -> None:
    asker = Unruly({6: [GoneError("no server has answered")]})
    with pytest.raises(GoneError):
        scan(area, "Where?", out=tmp_path / "a.parquet", asker=asker, **SMALL)
    assert not (tmp_path / "a.parquet").exists() and asker.asked[:6] == [0, 1, 2, 3, 4, 5]
    done = scan(area, "Where?", out=tmp_path / "a.parquet", asker=asker, **SMALL)
    assert sorted(asker.asked) == list(range(12)) and done.features == len(SQUARES)


def test_a_stop_keeps_what_is_finished_and_a_failed_batch_is_asked_one_by_one(area: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    asker = BrightAsker()
    with pytest.raises(StoppedError):
        run_scan(
            area, "Where?", out=tmp_path / "a.parquet", asker=asker, options=ScanOptions(**SMALL), stop=stop,
            tell=lambda pace: stop.set() if pace.done >= 3 else None,
        )  # fmt: skip
    with Journal(tmp_path / "a.parquet.scan" / "journal.jsonl", windows=12) as journal:
        kept = [number for number in range(12) if journal.state(number)]
    assert kept == asker.asked[: len(kept)] and 3 <= len(kept) < 12
    batches = Unruly({7: [RequestError("refused")]})
    batches.batch = 4
    done = scan(area, "Where?", out=tmp_path / "a.parquet", asker=batches, **SMALL)
    assert done.ledger["failed"] == {} and done.features == len(SQUARES), "the batch failed, its windows did not"


def test_a_damaged_journal_is_asked_again_where_it_is_damaged(area: Path, tmp_path: Path) -> None:
    done = scan(area, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), **SMALL)
    expected = table_of(done.path)
    journal = tmp_path / "a.parquet.scan" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"answered", b"answerex")
    journal.write_bytes(b"".join(lines)[:-25])
    done.path.unlink()
    asker = BrightAsker()
    again = scan(area, "Where?", out=tmp_path / "a.parquet", asker=asker, **SMALL)
    assert asker.asked == [4, 11] and table_of(again.path).equals(expected)


def test_a_line_of_the_journal_gives_back_what_was_found() -> None:
    shapes = (
        HBB(1.25, 2, 3, 4 + 1e-9), OBB(5, 6, 7, 2, -33.3),
        Polygon(((0, 0), (9, 0), (9, 9)), (((1, 1), (2, 1), (2, 2)),)),
        Mask(np.eye(5, 7, dtype=bool), HBB(10, 10, 31, 30)),
    )  # fmt: skip
    found = Finding(3, "answered", "[1] é \n", tuple(Region(shape, "a ship") for shape in shapes), ms=2.5, new_tokens=7)
    assert finding_from_dict(finding_to_dict(found)) == found
    line = render_line(found)
    assert line.count(b"\n") == 1 and finding_from_dict(parse_line(line) or {}) == found
    assert all(parse_line(line[:cut]) is None for cut in range(0, len(line) - 1, 7))


SCAN = """
import sys, time
from pathlib import Path
from serve.scan import scan
from tests.serve.made_areas import BrightAsker

class Slow(BrightAsker):
    def ask(self, *question):
        time.sleep(0.01)
        return super().ask(*question)

scan(Path(sys.argv[1]), "Where?", out=Path(sys.argv[2]), asker=Slow(at_once=3), window_px=64, overlap=0.4)
"""


def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    squares = [square(x, y, 12) for x in range(20, 400, 36) for y in range(20, 300, 36)]
    area = write_area(tmp_path / "area.tif", (420, 320), squares)
    straight = scan(area, "Where?", out=tmp_path / "straight.gpkg", asker=BrightAsker(), window_px=64, overlap=0.4)
    out = tmp_path / "killed.gpkg"
    journal = tmp_path / "killed.gpkg.scan" / "journal.jsonl"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    kills, reached = 0, 0
    while not out.exists():
        process = subprocess.Popen([sys.executable, "-c", SCAN, str(area), str(out)], cwd=tmp_path, env=environment)
        reached += 800 * 5**kills
        while process.poll() is None and not (journal.exists() and journal.stat().st_size >= reached):
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        assert process.returncode in (0, -signal.SIGKILL)
    assert kills >= 2, "it was never killed"
    again = scan(area, "Where?", out=out, asker=BrightAsker(), window_px=64, overlap=0.4)
    drop = ["seconds", "seconds_per_km2", "asked_ms"]
    assert {k: v for k, v in again.ledger.items() if k not in drop} == {
        k: v for k, v in straight.ledger.items() if k not in drop
    }
    assert table_of(out).equals(table_of(straight.path)) and len(table_of(out)) == len(squares)
    numbers = [json.loads(line.partition(b" ")[2])["w"] for line in journal.read_bytes().splitlines()]
    assert sorted(numbers) == list(range(again.ledger["planned"]))


def test_memory_does_not_grow_with_the_raster(tmp_path: Path) -> None:
    def peak_bytes(rows: int) -> int:
        squares = [square(40, 64 * row + 40, 12) for row in range(rows)]
        area = write_area(tmp_path / f"{rows}.tif", (128, 64 * rows), squares)
        tracemalloc.start()
        try:
            done = scan(area, "Where?", out=tmp_path / f"{rows}.parquet", asker=BrightAsker(), window_px=64, overlap=0)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert done.features == rows and done.ledger["planned"] == 2 * rows
        return peak

    peak_bytes(4)
    small, large = peak_bytes(12), peak_bytes(120)
    assert large < small + 600_000, f"{small:,} bytes for 24 windows, {large:,} for 240"


def test_another_scan_of_the_same_output_has_to_wait(area: Path, tmp_path: Path) -> None:
    class Nested(BrightAsker):
        def ask(self, instruction: str, views: Sequence[View], options: ScanOptions) -> list[Finding]:
            with pytest.raises(OutputError, match="being written by another scan"):
                scan(area, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), **SMALL)
            return super().ask(instruction, views, options)

    assert scan(area, "Where?", out=tmp_path / "a.parquet", asker=Nested(), **SMALL).features == len(SQUARES)


def test_a_file_that_changed_meanwhile_is_refused(area: Path, tmp_path: Path) -> None:
    with pytest.raises(GoneError):
        scan(area, "Where?", out=tmp_path / "a.parquet", asker=Unruly({3: [GoneError("gone")]}), **SMALL)
    write_area(area, (200, 140), SQUARES[:3])
    os.utime(area, ns=(1, 1))
    with pytest.raises(RasterError, match=r"changed since the scan began.*--fresh"):
        scan(area, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), **SMALL)
    assert scan(area, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), fresh=True, **SMALL).features == 3


def test_the_model_answers_a_window_as_it_does_when_asked_about_it(nadir: Nadir, area: Path, tmp_path: Path) -> None:
    asker = LocalAsker(nadir, model="tiny", digest="0", batch=3)
    options = ScanOptions(window_px=64, overlap=0.25, budget=3, max_new_tokens=8)
    done = run_scan(area, "Describe it.", out=tmp_path / "a.parquet", asker=asker, options=options)
    assert done.ledger["answered"] == done.ledger["planned"] == 12 and done.ledger["new_tokens"] > 0
    with Journal(tmp_path / "a.parquet.scan" / "journal.jsonl", windows=12) as journal:
        found = journal.find(5)
    assert found is not None
    from serve.scan.findings import finding_of
    from serve.scan.plan import read_targets

    (target,) = read_targets(tmp_path / "a.parquet.scan" / "plan.jsonl")
    alone = nadir.ask(area, "Describe it.", window=target.window(5), budget=3, max_new_tokens=8)
    assert found.words == finding_of(5, alone, ms=0).words and found.regions == alone.regions


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"window_px": 4}, WindowError, "expected 16 to 4096"),
        ({"overlap": 1.0}, None, ""),
        ({"overlap": 600}, WindowError, "expected a share from 0 to 0.9"),
        ({"gsd_m": -1.0}, WindowError, "positive number of metres"),
        ({"task": "change"}, InstructionError, "needs two"),
        ({"dialect": "klingon"}, NadirError, "known are nadir"),
        ({"bands": "swir"}, RasterError, "nothing of .* can be scanned"),
    ],
)
def test_what_cannot_be_scanned_is_refused(
    area: Path, tmp_path: Path, options: dict[str, Any], error: type[BaseException] | None, sentence: str
) -> None:
    if error is None:
        assert ScanOptions(**options).overlap_px == 1
        return
    with pytest.raises(error, match=sentence):
        scan(area, "Where?", out=tmp_path / "a.parquet", asker=BrightAsker(), **options)
    assert not (tmp_path / "a.parquet").exists()


def test_outputs_and_overlaps_that_are_none_are_refused(area: Path, tmp_path: Path) -> None:
    for out, sentence in (("a.shp", "expected .parquet, .gpkg, .geojson"), ("no/a.parquet", "does not exist")):
        with pytest.raises(OutputError, match=sentence):
            scan(area, "Where?", out=tmp_path / out, asker=BrightAsker())
    with pytest.raises(InstructionError, match="empty"):
        scan(area, " ", out=tmp_path / "a.parquet", asker=BrightAsker())
    assert [parse_overlap(text) for text in ("64", "0.2", "20%", "64px", ".5")] == [64, 0.2, 0.2, 64, 0.5]
    for text in ("-3", "a", "", "0.5px", "20 % of it"):
        with pytest.raises(WindowError, match="overlap"):
            parse_overlap(text)


def test_a_region_beyond_its_window_is_cut_off_there(tmp_path: Path) -> None:
    class Wild(BrightAsker):
        def _look(self, view: View) -> Finding:
            far = shift(HBB(-50, -50, 10, 10), view.window.x, view.window.y)
            gone = HBB(900, 900, 950, 950)
            return Finding(view.number, "answered", regions=(Region(far, "a"), Region(gone, "b")))

    area = write_area(tmp_path / "a.tif", (64, 64), [])
    done = scan(area, "Where?", out=tmp_path / "a.parquet", asker=Wild(), **SMALL)
    assert done.features == 1 and Window(0, 0, 64, 64)
