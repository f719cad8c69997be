"""Measure the data engine: samples a second of every stage, peak memory against corpus size, processes and Ray.

    python -m benchmarks.data_engine            writes benchmarks/data_engine.md (about 12 idle minutes, 1 GB of disk)
    python -m benchmarks.data_engine --quick    a small corpus, the tables go to the terminal

Every stage is the command that a user types, in a process of its own; its CPU time and peak memory are those that the
system counted for it. The corpus is made here: images of 256 px with 12 boxes each in DOTA's layout, the same images
with three captions each in RSICD's. `annotate` is left out: it waits for the endpoint that it asks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.path import name_commit, name_machine

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "benchmarks" / "data_engine.md"
IMAGES, QUICK_IMAGES = 4000, 120
GROWTH = (1, 4, 16)
"""Corpus sizes of the memory table, in parts of 16 of the images."""
TARGET_SAMPLES, TARGET_CORES = 10_000_000, 64
CAPTIONS, BOXES, SIZE_PX = 3, 12, 256
CATEGORIES = ("plane", "ship", "storage-tank", "harbor", "bridge", "large-vehicle")
READ = """
import json, sys, time
from pathlib import Path
from data_engine.store import read_samples
began, count = time.perf_counter(), 0
for sample in read_samples(Path(sys.argv[1])):
    count += 1
print(json.dumps({"read": count, "made": 0, "kept": count, "dropped": {}, "seconds": time.perf_counter() - began}))
"""


@dataclass(frozen=True, slots=True)
class Got:
    """Hold one measured command: samples read and made, seconds by its ledger, CPU seconds, peak MB."""

    samples: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Give the samples a second."""
        return self.samples / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Stage:
    """Name one stage and build its command: the corpus folder and the output go in."""

    name: str
    command: Callable[[Path, Path], list[str]]


def verb(*words: str) -> Callable[[Path, Path], list[str]]:
    """Build a command of data_engine; CORPUS and OUT in it stand for the folders."""

    def build(corpus: Path, out: Path) -> list[str]:
        filled = [word.replace("CORPUS", str(corpus)).replace("OUT", str(out)) for word in words]
        return [sys.executable, "-m", "data_engine", "--quiet", *filled]

    return build


CONVERT = Stage("convert, images by path", verb("convert", "rsicd", "CORPUS/rsicd", "OUT"))
EMBED = Stage("convert --embed", verb("convert", "rsicd", "CORPUS/rsicd", "OUT", "--embed"))
READING = Stage("read a store", lambda corpus, _: [sys.executable, "-c", READ, str(corpus / "embedded")])
TARS = Stage("convert --to webdataset", verb("convert", "store", "CORPUS/embedded", "OUT", "--to", "webdataset"))
GENERATE = Stage("generate, all recipes", verb("generate", "dota:CORPUS/dota", "OUT", "--split", "all"))
FILTER = Stage("filter", verb("filter", "CORPUS/embedded", "OUT"))
MIX = Stage("mix", verb("mix", "CORPUS/recipe.py", "OUT"))
SYNTH = Stage("synth, 256 px", verb("synth", "--scenes", "SCENES", "--pairs", "0", "--workers", "1", "OUT"))
STAGES = (CONVERT, EMBED, READING, TARS, GENERATE, FILTER, MIX, SYNTH)
GROWING = (EMBED, READING, TARS, GENERATE, FILTER, MIX)


def measure(command: list[str]) -> Got:
    """Run a command and give what its last line and the system say about it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=said, stderr=complaints, cwd=ROOT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        complaints.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{complaints.read()[-2000:]}")
        line = json.loads(said.read().splitlines()[-1])
    samples = line["read"] + line["made"]
    return Got(samples, line["seconds"], usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run_stage(stage: Stage, corpus: Path, folder: Path, *options: str) -> Got:
    """Measure one stage on a corpus and delete what it wrote."""
    out = folder / "out"
    images = len(list((corpus / "dota" / "images").iterdir()))
    command = [word.replace("SCENES", str(images)) for word in stage.command(corpus, out)]
    try:
        return measure([*command, *options])
    finally:
        shutil.rmtree(out, ignore_errors=True)


def make_corpus(folder: Path, images: int) -> Path:
    """Write DOTA's and RSICD's layouts with the same images, an embedded store of the captions, and a recipe."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    dota, rsicd = folder / "dota", folder / "rsicd"
    for place in (dota / "images", dota / "labelTxt", rsicd / "RSICD_images"):
        place.mkdir(parents=True)
    records = []
    for number in range(images):
        coarse = rng.integers(0, 255, (SIZE_PX // 8, SIZE_PX // 8, 3)).astype(np.uint8)
        picture = Image.fromarray(coarse).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
        picture.save(dota / "images" / f"P{number:06d}.png", compress_level=1)
        picture.save(rsicd / "RSICD_images" / f"airport_{number}.jpg", quality=90)
        (dota / "labelTxt" / f"P{number:06d}.txt").write_text(_labels(rng))
        sentences = [{"raw": f"scene {number} seen for the {order} time ."} for order in ("first", "second", "third")]
        records.append(
            {"filename": f"airport_{number}.jpg", "split": "train", "imgid": number, "sentences": sentences[:CAPTIONS]}
        )
    (rsicd / "dataset_rsicd.json").write_text(json.dumps({"images": records, "dataset": "rsicd"}))
    measure(verb("convert", "rsicd", str(rsicd), str(folder / "embedded"), "--embed")(folder, folder))
    part = f"Part({str(folder / 'embedded')!r})"
    (folder / "recipe.py").write_text(
        f"from data_engine.mix.recipe import Mix, Part\n\n\ndef recipe():\n    return Mix(parts=({part},))\n"
    )
    return folder


def _labels(rng: np.random.Generator) -> str:
    """Write BOXES objects as a label file of DOTA."""
    lines = []
    for number in range(BOXES):
        x, y, w, h = rng.integers(0, SIZE_PX - 40), rng.integers(0, SIZE_PX - 40), *rng.integers(6, 40, 2)
        corners = (x, y, x + w, y, x + w, y + h, x, y + h)
        lines.append(" ".join(map(str, corners)) + f" {CATEGORIES[number % len(CATEGORIES)]} 0")
    return "\n".join(lines) + "\n"


def measure_sharing(corpus: Path, folder: Path) -> list[tuple[str, Got]]:
    """Measure one stage in this process, in two, and on a local Ray with two workers, where Ray is installed."""
    ways: list[tuple[str, tuple[str, ...]]] = [("one process", ()), ("--workers 2", ("--workers", "2"))]
    if find_spec("ray") is not None:
        ways.append(("--ray local --workers 2", ("--ray", "local", "--workers", "2")))
    return [(name, run_stage(GENERATE, corpus, folder, *options)) for name, options in ways]


def measure_all(images: int, folder: Path) -> dict[str, list[tuple[str, list[Got]]]]:
    """Measure every stage on the whole corpus, the growing ones on parts of it, and the ways to share the work."""
    sizes = [max(4, images * part // max(GROWTH)) for part in GROWTH]
    corpora = [make_corpus(folder / f"corpus-{size}", size) for size in sizes]
    stages = [(stage.name, [run_stage(stage, corpora[-1], folder)]) for stage in STAGES]
    memory = [(stage.name, [run_stage(stage, corpus, folder) for corpus in corpora]) for stage in GROWING]
    sharing = [(name, [got]) for name, got in measure_sharing(corpora[-1], folder)]
    return {"stages": stages, "memory": memory, "sharing": sharing}


def render(found: dict[str, list[tuple[str, list[Got]]]], images: int) -> str:
    """Write the tables as Markdown, the arithmetic of the projection with them."""
    lines = [
        "# The data engine: samples a second, memory, processes, Ray", "",
        f"Machine: {name_machine()}. Commit {name_commit()}. Command: `python -m benchmarks.data_engine "
        f"--images {images}`.",
        f"Corpus: {images:,} images of {SIZE_PX} px, {CAPTIONS} captions and {BOXES} boxes each (synth: as many "
        "scenes). Samples are those read and made; seconds are those of the ledger, without the start of Python, CPU "
        f"time is all of the command's. One process. Projected: CPU s a sample x {TARGET_SAMPLES:,} samples / "
        f"{TARGET_CORES} cores / 3600 s, where disks and networks keep up. `annotate` waits for its endpoint and is "
        "not here.", "",
        "| stage | samples | s | samples/s | CPU ms a sample | peak MB | projected hours |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, (got,) in found["stages"]:
        cpu_s = got.cpu_s / max(1, got.samples)
        hours = cpu_s * TARGET_SAMPLES / TARGET_CORES / 3600
        lines.append(
            f"| {name} | {got.samples:,} | {got.seconds:.1f} | {got.rate:,.0f} | {1000 * cpu_s:.2f} | "
            f"{got.peak_mb:.0f} | {hours:.2f} |"
        )
    sizes = [max(4, images * part // max(GROWTH)) for part in GROWTH]
    lines += [
        "", f"Peak memory in MB when the corpus grows {max(GROWTH)}-fold (promised: flat):", "",
        f"| stage | {' | '.join(f'{size:,} images' for size in sizes)} |", "|---|" + "---|" * len(sizes),
    ]  # fmt: skip
    lines += [f"| {name} | {' | '.join(f'{got.peak_mb:.0f}' for got in row)} |" for name, row in found["memory"]]
    lines += [
        "", f"The same work shared ({GENERATE.name}): the bytes are the same, which tests prove; start-up counts.", "",
        "| how | s | samples/s |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {name} | {got.seconds:.1f} | {got.rate:,.0f} |" for name, (got,) in found["sharing"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write the report and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small corpus, nothing is written")
    parser.add_argument("--images", type=int, default=IMAGES, help="images of the corpus")
    options = parser.parse_args()
    images = QUICK_IMAGES if options.quick else options.images
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = measure_all(images, Path(folder))
    report = render(found, images)
    if options.quick:
        print(report)
    else:
        REPORT.write_text(report)
    rates = {name: round(got.rate, 1) for name, (got,) in found["stages"]}
    print(json.dumps({"samples_per_s": rates, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
