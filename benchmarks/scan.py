"""Measure scans of large areas: windows a second, cost per km2, memory against the raster's size, kills, servers.

    python -m benchmarks.scan            writes benchmarks/scan.md (about 10 idle minutes, 200 MB of disk)

Each measurement is a process of its own, whose peak memory is its own. A stand-in that finds bright squares in the
pixels that it is shown measures the scan itself; the built-in model measures what a user of this machine gets.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.path import ROOT, name_commit, name_machine, peak_mb
from tests.serve.made_areas import BrightAsker, square, write_area

REPORT = ROOT / "benchmarks" / "scan.md"
WINDOW_PX, OVERLAP = 256, 0.2
SIZES_PX = (1024, 4096, 8192)
WARM_PX = 300
MODEL_PX, MODEL_WINDOWS_PX = 3072, 512
KILLS, KILLED_PX = 10, 4096
LATENCY_S, SERVED_PX = 0.05, 3072
INSTRUCTION = "Where are the squares?"
Numbers = dict[str, Any]


class Clock:
    """Measure what a piece of work takes: seconds of the wall and of the processor, and the peak memory."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def facts(self) -> Numbers:
        """Give what it took so far."""
        return {
            "s": time.perf_counter() - self._wall, "cpu_s": time.process_time() - self._cpu, "peak_mb": peak_mb(),
        }  # fmt: skip


def places(size_px: int) -> list[tuple[int, int]]:
    """Give centres of squares 150 px apart, so that they lie everywhere: inside, on seams and on corners."""
    return [(x, y) for y in range(60, size_px - 30, 150) for x in range(60, size_px - 30, 150)]


def make_area(folder: Path, size_px: int) -> Path:
    """Write a square raster with bright squares of 24 px, once."""
    path = folder / f"area-{size_px}.tif"
    if not path.exists():
        write_area(path, (size_px, size_px), [square(x, y, 24) for x, y in places(size_px)], compress="deflate")
    return path


def measure_machinery(folder: str, size_px: str) -> Numbers:
    """Scan with the stand-in: everything but a model; a small scan before it has imported what is needed."""
    from serve.scan import scan

    options: Numbers = {"asker": BrightAsker(), "window_px": WINDOW_PX, "overlap": OVERLAP, "fresh": True}
    warm = make_area(Path(folder), WARM_PX)
    scan(warm, INSTRUCTION, out=warm.with_suffix(".parquet"), **options)
    area = make_area(Path(folder), int(size_px))
    clock = Clock()
    done = scan(area, INSTRUCTION, out=area.with_suffix(".parquet"), **options)
    expected = len(places(int(size_px)))
    return clock.facts() | {"windows": done.ledger["planned"], "features": done.features, "expected": expected}


def measure_crops(folder: str, size_px: str) -> Numbers:
    """Do what one does without a scan: load the raster, cut it into crops that do not overlap, look at each."""
    import numpy as np
    import rasterio

    from serve.scan import ScanOptions
    from serve.scan.asking import View
    from vlm.geometry.shapes import Window
    from vlm.raster import Pixels

    area, clock = make_area(Path(folder), int(size_px)), Clock()
    with rasterio.open(area) as dataset:
        pixels = np.moveaxis(dataset.read(), 0, -1)
    asker, found, windows = BrightAsker(), 0, 0
    for y in range(0, pixels.shape[0], WINDOW_PX):
        for x in range(0, pixels.shape[1], WINDOW_PX):
            crop = np.ascontiguousarray(pixels[y : y + WINDOW_PX, x : x + WINDOW_PX])
            shown = Pixels(crop, np.ones(crop.shape[:2], bool))
            view = View(windows, str(area), Window(x, y, crop.shape[1], crop.shape[0]), shown, 1.0)
            found += len(asker.ask(INSTRUCTION, [view], ScanOptions())[0].regions)
            windows += 1
    return clock.facts() | {"windows": windows, "features": found}


def measure_model(folder: str, how: str) -> Numbers:
    """Ask the built-in model of every window, by a scan or crop by crop through files."""
    import numpy as np
    import rasterio

    from serve.scan import scan
    from serve.scan.who import Who

    area = make_area(Path(folder), MODEL_PX)
    options: Numbers = {"task": "detect", "window_px": MODEL_WINDOWS_PX, "budget": 5, "max_new_tokens": 64}
    if how == "scan":
        asker, out = Who().build(), area.with_name("model.parquet")
        warm = make_area(Path(folder), WARM_PX)
        scan(warm, INSTRUCTION, out=warm.with_name("warm.parquet"), asker=asker, fresh=True, **options)
        clock = Clock()
        done = scan(area, INSTRUCTION, out=out, asker=asker, overlap=OVERLAP, fresh=True, **options)
        windows = done.ledger["answered"]
    else:
        from vlm.cli_ask import load_nadir

        nadir, windows = load_nadir(None), 0
        nadir.ask(make_area(Path(folder), WARM_PX), INSTRUCTION, task="detect", budget=5, max_new_tokens=64)
        clock = Clock()
        with rasterio.open(area) as dataset:
            pixels = dataset.read()
        for y in range(0, MODEL_PX, MODEL_WINDOWS_PX):
            for x in range(0, MODEL_PX, MODEL_WINDOWS_PX):
                crop = np.ascontiguousarray(pixels[:, y : y + MODEL_WINDOWS_PX, x : x + MODEL_WINDOWS_PX])
                name = area.with_name("crop.png")
                with rasterio.open(
                    name, "w", driver="PNG", width=crop.shape[2], height=crop.shape[1], count=3, dtype="uint8"
                ) as png:
                    png.write(crop)
                nadir.ask(name, INSTRUCTION, task="detect", budget=5, max_new_tokens=64)
                windows += 1
    return clock.facts() | {"windows": windows, "km2": (MODEL_PX * 0.5) ** 2 / 1e6}


def measure_servers(folder: str, count: str, at_once: str) -> Numbers:
    """Scan with servers that take LATENCY_S for each window."""
    from serve.scan import ScanOptions
    from serve.scan.run import run_scan
    from serve.scan.servers import ServersAsker

    area = make_area(Path(folder), SERVED_PX)
    servers = [_start_server() for _ in range(int(count))]
    asker = ServersAsker([f"http://127.0.0.1:{server.server_address[1]}" for server in servers], at_once=int(at_once))
    out = area.with_name(f"served-{count}-{at_once}.parquet")
    options, clock = ScanOptions(window_px=WINDOW_PX, overlap=OVERLAP), Clock()
    done = run_scan(area, INSTRUCTION, out=out, asker=asker, options=options, fresh=True)
    facts = clock.facts()
    for server in servers:
        server.shutdown()
    return facts | {"windows": done.ledger["answered"]}


def _start_server() -> ThreadingHTTPServer:
    answer = {"choices": [{"message": {"content": "<box>[[100,100,200,200]]</box>"}}], "usage": {}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send({"data": [{"id": "stand-in"}]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(LATENCY_S)
            self._send(answer)

        def _send(self, content: Numbers) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measure_killed(folder: str, out: str) -> Numbers:
    """Scan until somebody kills this process."""
    from serve.scan import scan

    area = make_area(Path(folder), KILLED_PX)
    done = scan(area, INSTRUCTION, out=out, asker=BrightAsker(at_once=3), window_px=WINDOW_PX, overlap=OVERLAP)
    return {"features": done.features, "windows": done.ledger["planned"]}


MEASURES = {
    "machinery": measure_machinery, "crops": measure_crops, "model": measure_model, "servers": measure_servers,
    "killed": measure_killed,
}  # fmt: skip


def run_apart(measure: str, *arguments: object) -> Numbers:
    """Run one measurement in a fresh process and read its JSON line."""
    done = subprocess.run(
        _command(measure, *arguments), cwd=ROOT, capture_output=True, text=True, check=True, env=_env()
    )
    result: Numbers = json.loads(done.stdout.splitlines()[-1])
    return result


def _command(measure: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.scan", "--measure", measure, *map(str, arguments)]


def _env() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def kill_often(folder: Path) -> Numbers:
    """Kill a scan at KILLS random moments of its work, start it again each time, and count what was asked twice."""
    rng, kills, tries = random.Random(0), 0, 0
    out = folder / "killed.parquet"
    journal = folder / "killed.parquet.scan" / "journal.jsonl"
    while not out.exists():
        process = subprocess.Popen(_command("killed", folder, out), cwd=ROOT, env=_env(), stdout=subprocess.DEVNULL)
        tries += 1
        began = _size(journal)
        more = rng.randrange(1, 12_000) if kills < KILLS else 10**12
        while process.poll() is None and _size(journal) < began + more:
            time.sleep(0.001)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    import geopandas as gpd

    numbers = [json.loads(line.partition(b" ")[2])["w"] for line in journal.read_bytes().splitlines()]
    straight = run_apart("killed", folder, folder / "straight.parquet")
    one, two = (gpd.read_parquet(folder / f"{name}.parquet") for name in ("killed", "straight"))
    same = one.equals(two)
    return {
        "kills": kills, "windows": straight["windows"], "lost": straight["windows"] - len(set(numbers)),
        "doubled": len(numbers) - len(set(numbers)), "features": len(one), "same": same,
    }  # fmt: skip


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def measure_all(folder: Path) -> Numbers:
    """Run every measurement."""
    got: Numbers = {"machinery": {}, "crops": {}, "servers": {}}
    for size_px in SIZES_PX:
        make_area(folder, size_px)
        got["machinery"][size_px] = run_apart("machinery", folder, size_px)
        got["crops"][size_px] = run_apart("crops", folder, size_px)
    got["model"] = {how: run_apart("model", folder, how) for how in ("scan", "crops")}
    for count, at_once in ((1, 1), (1, 4), (1, 16), (2, 16)):
        got["servers"][(count, at_once)] = run_apart("servers", folder, count, at_once)
    got["kills"] = kill_often(folder)
    return got


def render(got: Numbers) -> str:
    """Write the tables as Markdown."""
    head = [
        "# Scans of large areas: windows a second, memory, kills, servers",
        "",
        f"Machine: {name_machine()}. Commit {name_commit()}. Command: `python -m benchmarks.scan`. Each row is a "
        "process of its own. Others work on the machine: the processor's seconds are given beside those of the wall.",
        "",
    ]
    parts = (_render_machinery(got), _render_model(got["model"]), _render_servers(got["servers"]))
    lines = [*head, *(line for part in parts for line in [*part, ""]), _render_kills(got["kills"])]
    return "\n".join(lines) + "\n"


def _render_machinery(got: Numbers) -> list[str]:
    lines = [
        "The scan itself, with a stand-in that finds bright squares of 24 px in the pixels of each window "
        f"({WINDOW_PX} px, overlap {OVERLAP:.0%}): reading, looking, a synced journal, merging, GeoParquet. Crops: the "
        "whole raster in memory, cut without overlap, each looked at. Promised: memory does not grow with the raster's "
        "area (GDAL's cache of blocks fills to 64 MB first), every square comes out once.",
        "",
        "| raster | how | windows | windows/s | CPU ms a window | peak MB | squares found | there |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size_px, scan in got["machinery"].items():
        for how, row in (("scan", scan), ("crops", got["crops"][size_px])):
            cells = (
                f"{size_px:,} x {size_px:,}", how, f"{row['windows']:,}", f"{row['windows'] / row['s']:.0f}",
                f"{row['cpu_s'] / row['windows'] * 1000:.1f}", f"{row['peak_mb']:.0f}", f"{row['features']:,}",
                f"{scan['expected']:,}",
            )  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _render_model(rows: Numbers) -> list[str]:
    lines = [
        f"The built-in model, {MODEL_WINDOWS_PX} px windows of 0.5 m, detect, 5 tiles, at most 64 new tokens:",
        "",
        "| how | windows | windows/s | s/km2 | CPU s/km2 | ratio of CPU | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    base = rows["crops"]
    for how, row in rows.items():
        name = f"nadir scan, overlap {OVERLAP:.0%}" if how == "scan" else "crops through files, no overlap, no merging"
        cells = (
            name, f"{row['windows']}", f"{row['windows'] / row['s']:.2f}", f"{row['s'] / row['km2']:.1f}",
            f"{row['cpu_s'] / row['km2']:.1f}", f"{row['cpu_s'] / base['cpu_s']:.2f}", f"{row['peak_mb']:.0f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _render_servers(rows: Numbers) -> list[str]:
    lines = [
        f"Servers that take {LATENCY_S * 1000:.0f} ms for a window, in the same process; the scan reads, encodes PNG, "
        "sends and parses:",
        "",
        "| servers | at once, each | windows | windows/s | the most that they give | share | CPU ms a window |",
        "|---|---|---|---|---|---|---|",
    ]
    for (count, at_once), row in rows.items():
        rate, most = row["windows"] / row["s"], count * at_once / LATENCY_S
        cpu_ms = row["cpu_s"] / row["windows"] * 1000
        cells = f"{row['windows']:,} | {rate:.0f} | {most:.0f}/s | {rate / most:.0%} | {cpu_ms:.1f}"
        lines.append(f"| {count} | {at_once} | {cells} |")
    return lines


def _render_kills(kills: Numbers) -> str:
    return (
        f"Killed with SIGKILL {kills['kills']} times at random moments of {kills['windows']:,} windows, started again "
        f"each time: {kills['lost']} windows lost, {kills['doubled']} in the journal twice; {kills['features']:,} "
        f"features, {'equal' if kills['same'] else 'NOT equal'} to those of a scan that was never killed."
    )


def main() -> None:
    """Measure everything, or one case when asked by a parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs="+", metavar="WORD", help="run one case and print its JSON")
    options = parser.parse_args()
    if options.measure:
        name, *arguments = options.measure
        print(json.dumps(MEASURES[name](*arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        text = render(measure_all(Path(folder)))
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
