"""Measure the imagery half of the path: memory and time to first tile on small and very large rasters, import times.

    python benchmarks/path.py                 writes benchmarks/path.md (about 5 minutes, 100 MB of disk)

Each measurement runs in its own process and reads its own peak memory (VmHWM), so that no case inherits another's. The
large raster is written sparse, with content where it is read and elsewhere none.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORLD = ROOT.parent / "shared" / "data" / "georef" / "rio_tiler" / "cog_world.tif"
REPORT = ROOT / "benchmarks" / "path.md"
TILE_PX = 448
LARGE_PX = 100_000
CONTENT_PX = 2048
REPEATS = 5
_CPU_AT_START = time.process_time()
TORCH_FREE = (
    "vlm.records", "vlm.errors", "vlm.geometry", "vlm.raster", "vlm.pair", "vlm.bands", "vlm.tiling", "vlm.codecs",
    "vlm.dialects", "vlm.prompts", "vlm.vector",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """Name one measurement and the arguments of the process that makes it."""

    label: str
    measure: str
    path: Path


def peak_mb() -> float:
    """Read the peak resident memory of this process in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure_tiles(path: str) -> dict[str, float]:
    """Open, render and read a thumbnail, then 24 tiles across the image at full and at 1/8 scale."""
    began = time.perf_counter()
    from vlm.geometry.shapes import Window
    from vlm.raster import Raster

    with Raster.open(path) as raster:
        rendering = raster.renderings(None, limit=1)[0]
        raster.read(raster.window, (TILE_PX, TILE_PX), rendering)
        first_s = time.perf_counter() - began
        for step in range(12):
            x, y = step * (raster.width - TILE_PX) // 12, step * (raster.height - TILE_PX) // 12
            raster.read(Window(x, y, TILE_PX, TILE_PX), (TILE_PX, TILE_PX), rendering)
            raster.read(Window(x, y, 8 * TILE_PX, 8 * TILE_PX), (TILE_PX, TILE_PX), rendering)
        total_s = time.perf_counter() - began
        megapixels = raster.width * raster.height / 1e6
    return _facts(first_s, total_s, megapixels)


def measure_whole(path: str) -> dict[str, float]:
    """Read the whole raster with rasterio and shrink it with numpy, as code without windows does."""
    began = time.perf_counter()
    import rasterio

    with rasterio.open(path) as dataset:
        pixels = dataset.read()
        stride = max(1, pixels.shape[2] // TILE_PX)
        pixels[:, ::stride, ::stride].copy()
        megapixels = dataset.width * dataset.height / 1e6
    took_s = time.perf_counter() - began
    return _facts(took_s, took_s, megapixels)


def measure_import(names: str) -> dict[str, float]:
    """Import the comma-separated modules; torch must stay out."""
    began = time.perf_counter()
    for name in names.split(","):
        __import__(name)
    took_s = time.perf_counter() - began
    if "torch" in sys.modules or "transformers" in sys.modules:
        raise SystemExit(f"{names} imports torch or transformers: the torch-free half must not")
    return _facts(took_s, took_s, 0.0)


def _facts(first_s: float, total_s: float, megapixels: float) -> dict[str, float]:
    cpu_s = time.process_time() - _CPU_AT_START
    return {"first_s": first_s, "total_s": total_s, "cpu_s": cpu_s, "peak_mb": peak_mb(), "megapixels": megapixels}


MEASURES = {"tiles": measure_tiles, "whole": measure_whole, "import": measure_import}


def run_apart(measure: str, argument: str) -> dict[str, float]:
    """Run one measurement in a fresh process and read its JSON line."""
    command = [sys.executable, str(Path(__file__)), "--measure", measure, argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=_environment())
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def repeat(measure: str, argument: str) -> dict[str, float]:
    """Run a measurement REPEATS times after one to warm the disk; the shortest times, the largest memory."""
    run_apart(measure, argument)
    runs = [run_apart(measure, argument) for _ in range(REPEATS)]
    summary = {key: min(run[key] for run in runs) for key in runs[0]}
    return summary | {"peak_mb": max(run["peak_mb"] for run in runs)}


def _environment() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def write_small(path: Path) -> Path:
    """Write a tiled RGB GeoTIFF of 512 x 512 px."""
    return _write(path, 512, spots=[(0, 0)], content_px=512, overviews=[])


def write_large(path: Path) -> Path:
    """Write a sparse, tiled RGB GeoTIFF of LARGE_PX squared with overviews down to 400 px."""
    spots = [(step * (LARGE_PX - CONTENT_PX) // 12 // 512 * 512,) * 2 for step in range(12)]
    return _write(path, LARGE_PX, spots=spots, content_px=CONTENT_PX, overviews=[2**level for level in range(1, 9)])


def _write(path: Path, size_px: int, *, spots: list[tuple[int, int]], content_px: int, overviews: list[int]) -> Path:
    import numpy as np
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    profile = {
        "driver": "GTiff", "width": size_px, "height": size_px, "count": 3, "dtype": "uint8", "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "interleave": "pixel", "BIGTIFF": "YES",
        "SPARSE_OK": True, "crs": "EPSG:32616", "transform": rasterio.Affine(0.3, 0, 5e5, 0, -0.3, 4e6),
    }  # fmt: skip
    rng = np.random.default_rng(0)
    with rasterio.Env(GDAL_CACHEMAX=128 * 1024**2, SPARSE_OK_OVERVIEW="ON", BIGTIFF_OVERVIEW="YES"):
        with rasterio.open(path, "w", **profile) as dataset:
            for x, y in spots:
                coarse = rng.integers(0, 255, (3, content_px // 16, content_px // 16)).astype(np.uint8)
                pixels = coarse.repeat(16, axis=1).repeat(16, axis=2)
                dataset.write(pixels, window=Window(x, y, content_px, content_px))
        if overviews:
            with rasterio.open(path, "r+") as dataset:
                dataset.build_overviews(overviews, Resampling.nearest)
    return path


def measure_all(folder: Path) -> tuple[list[tuple[str, dict[str, float]]], list[tuple[str, dict[str, float]]]]:
    """Measure rasters and imports; rasters that are absent are left out."""
    cases = [Case("512 x 512 RGB GeoTIFF", "tiles", write_small(folder / "small.tif"))]
    if WORLD.exists():
        cases += [
            Case("36,000 x 18,000 COG (cog_world.tif)", "tiles", WORLD),
            Case("the same, whole with rasterio", "whole", WORLD),
        ]
    cases.append(Case("100,000 x 100,000 RGB GeoTIFF, sparse", "tiles", write_large(folder / "large.tif")))
    rasters = [(case.label, repeat(case.measure, str(case.path))) for case in cases]
    imports = [
        ("the torch-free half", repeat("import", ",".join(TORCH_FREE))),
        ("`nadir info`: vlm.cli, vlm.cli_info, rasterio", repeat("import", "vlm.cli,vlm.cli_info,rasterio")),
        ("numpy alone, for comparison", repeat("import", "numpy")),
    ]
    return rasters, imports


def render(rasters: list[tuple[str, dict[str, float]]], imports: list[tuple[str, dict[str, float]]]) -> str:
    """Write both tables as Markdown, with ratios to the first row of each."""
    base = rasters[0][1]
    lines = [
        "# Imagery: memory and time to first tile", "", f"Machine: {name_machine()}. Commit {name_commit()}.",
        f"Command: `python benchmarks/path.py`. Each row is a process of its own, {REPEATS} times, disk warm: the "
        "shortest times (others work on the machine, so CPU time is given too), the largest memory.", "",
        f"First tile: from before the imports to a rendered {TILE_PX} px thumbnail of the whole image, its stretch "
        "included (promised: below 1 s). Total: 24 more tiles. Above small: peak memory minus that of the 512 px "
        "image (promised: below 300 MB).", "",
        "| raster | Mpx | first tile s | ratio | total s | CPU s | peak MB | above small MB |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for label, got in rasters:
        ratio, above_mb = got["first_s"] / base["first_s"], got["peak_mb"] - base["peak_mb"]
        lines.append(
            f"| {label} | {got['megapixels']:,.1f} | {got['first_s']:.2f} | {ratio:.1f} | {got['total_s']:.2f} | "
            f"{got['cpu_s']:.2f} | {got['peak_mb']:.0f} | {above_mb:+.0f} |"
        )
    lines += [
        "", "The 100,000 px raster is not read whole: that takes 30 GB. Its empty blocks cost no disk, so its times "
        "show bookkeeping and decoding, not a disk's speed.", "",
        "| import | s | CPU s | promised s |", "|---|---|---|---|",
    ]  # fmt: skip
    for (label, got), promised in zip(imports, ("0.3", "0.6", ""), strict=True):
        lines.append(f"| {label} | {got['first_s']:.2f} | {got['cpu_s']:.2f} | {promised} |")
    return "\n".join(lines) + "\n"


def name_machine() -> str:
    """Name the processor and the Python that a table was measured with."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].split(":")[1].strip() if names else platform.machine()
    return f"{len(names)} x {model}, Linux, Python {platform.python_version()}"


def name_commit() -> str:
    """Name the commit that a table was measured at."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Measure everything, or one case when asked by a parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "ARGUMENT"), help="run one case and print its JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASURES[options.measure[0]](options.measure[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        rasters, imports = measure_all(Path(folder))
    REPORT.write_text(render(rasters, imports))
    print(json.dumps({"report": str(REPORT.relative_to(ROOT)), "rasters": dict(rasters), "imports": dict(imports)}))


if __name__ == "__main__":
    main()
