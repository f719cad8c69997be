"""Time the IoU matrix against shapely one by one, and the codecs; equal results are part of the measurement.

    python -m benchmarks.geometry [--n 1000] [--out benchmarks/geometry.md]

n oriented boxes, sides 8 to 120 px, lie in a 2,000 px image and then, crowded, in 400 px. shapely is used as
most evaluation code does: polygons made once, then `a.intersection(b).area / a.union(b).area` per pair; a second column
lets it skip pairs whose bounding boxes do not touch. Processor time, one thread; the best of three for ours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import shapely

from vlm.codecs import parse_text, render_text
from vlm.dialects import DIALECTS
from vlm.geometry import OBB, iou_matrix
from vlm.records import Region

SCENE_PX = 2000
CROWDED_PX = 400


def scene(count: int, seed: int, scene_px: int = SCENE_PX) -> list[OBB]:
    """Draw oriented boxes in pixels."""
    generator = np.random.default_rng(seed)
    low, high = (0, 0, 8, 8, -90), (scene_px, scene_px, 120, 60, 90)
    return [OBB(*row) for row in generator.uniform(low, high, (count, 5)).tolist()]


def one_by_one(first: list[OBB], second: list[OBB], *, prefilter: bool) -> np.ndarray:
    """Give the IoU matrix as a loop over shapely polygons."""
    polygons_a = [shapely.Polygon(box.corners()) for box in first]
    polygons_b = [shapely.Polygon(box.corners()) for box in second]
    out = np.zeros((len(first), len(second)))
    for i, a in enumerate(polygons_a):
        for j, b in enumerate(polygons_b):
            if not prefilter or a.intersects(b):
                out[i, j] = a.intersection(b).area / a.union(b).area
    return out


def seconds(work: Callable[[], object], *, repeat: int = 1) -> float:
    """Time a call by processor time, the best of some repetitions."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def iou_rows(count: int, scene_px: int) -> tuple[list[str], dict[str, float]]:
    """Measure the matrix of count x count oriented boxes in a square scene."""
    first, second = scene(count, 0, scene_px), scene(count, 1, scene_px)
    ours = seconds(lambda: iou_matrix(first, second), repeat=3)
    matrix = iou_matrix(first, second)
    difference = float(np.abs(matrix - one_by_one(first, second, prefilter=False)).max())
    plain = seconds(lambda: one_by_one(first, second, prefilter=False))
    filtered = seconds(lambda: one_by_one(first, second, prefilter=True))
    lines = [
        f"{count} x {count} oriented boxes in {scene_px} px: {int((matrix > 0).sum()):,} pairs overlap; "
        f"largest difference from shapely {difference:.1e}.",
        "",
        "| IoU matrix | processor time | pairs per second | times ours |",
        "|---|--:|--:|--:|",
        f"| `iou_matrix` | {ours:.3f} s | {count**2 / ours:,.0f} | 1 |",
        f"| shapely one by one | {plain:.2f} s | {count**2 / plain:,.0f} | {plain / ours:.0f} |",
        f"| shapely, pairs that meet only | {filtered:.2f} s | {count**2 / filtered:,.0f} | {filtered / ours:.0f} |",
        "",
    ]
    return lines, {"speedup": plain / ours, "speedup_prefiltered": filtered / ours, "max_difference": difference}


def codec_rows(count: int = 2000) -> list[str]:
    """Measure how many regions a second each dialect writes and reads."""
    size = [(SCENE_PX, SCENE_PX)]
    regions = [Region(box, "ship") for box in scene(count, 2)]
    few = regions[:200]
    lines = [
        "| dialect | kind | written per second | read per second | characters per region |",
        "|---|---|--:|--:|--:|",
    ]
    for name, dialect in DIALECTS.items():
        for kind in dict.fromkeys(form.kind for form in dialect.forms if not form.read_only):
            chosen = few if kind == "seg" else regions
            template = "".join(f"{{ref {kind}:{i}}}\n" for i in range(len(chosen)))
            text = render_text(template, chosen, sizes=size, dialect=name)
            parsed = parse_text(text, sizes=size, dialect=name)
            assert len(parsed.regions) == len(chosen)
            write = seconds(lambda t=template, c=chosen, n=name: render_text(t, c, sizes=size, dialect=n))
            read = seconds(lambda t=text, n=name: parse_text(t, sizes=size, dialect=n))
            rates = f"{len(chosen) / write:,.0f} | {len(chosen) / read:,.0f} | {len(text) / len(chosen):.0f}"
            lines.append(f"| {name} | {kind} | {rates} |")
    return lines


def machine() -> str:
    """Name processor, cores and commit."""
    info = Path("/proc/cpuinfo")
    rows = info.read_text().splitlines() if info.exists() else []
    names = [row.split(":", 1)[1].strip() for row in rows if row.startswith("model name")]
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    cpu = names[0] if names else platform.machine()
    return f"{cpu}, {os.cpu_count()} cores; shapely {shapely.__version__}; commit {git.stdout.strip() or 'unknown'}"


def main() -> None:
    """Measure, write the report and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=root / "benchmarks" / "geometry.md")
    options = parser.parse_args()
    table, numbers = iou_rows(options.n, SCENE_PX)
    crowded, crowded_numbers = iou_rows(options.n, CROWDED_PX)
    page = [
        "# Geometry and codecs: throughput", "",
        f"Written by `python -m benchmarks.geometry --n {options.n}`. One thread, processor time.", "",
        f"- Machine: {machine()}", "",
        "## IoU", "", *table, *crowded, "## Codecs", "", *codec_rows(),
    ]  # fmt: skip
    options.out.write_text("\n".join(page) + "\n")
    print(
        json.dumps(
            {"benchmark": "geometry", "n": options.n} | numbers | {"speedup_crowded": crowded_numbers["speedup"]}
        )
    )


if __name__ == "__main__":
    main()
