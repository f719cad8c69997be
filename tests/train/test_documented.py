"""Every command of docs/training.md runs, in its order, on tiny data, the tiny model in the built-in one's place."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from data_engine.__main__ import main as data_engine_main
from tests.vlm.tiny import build_tiny
from train import align, clip, export, grpo, start
from train import estimate as estimates
from train.recipes import RECIPES
from vlm.checkpoint import save_checkpoint
from vlm.cli import app

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if not language and line.startswith(("python", "nadir"))
]
SMALLER = {"steps": "2", "contrast_steps": "2", "batch": "2", "prompts": "1", "group": "2"}
WEST, NORTH, GSD_M = 500000.0, 4000000.0, 0.5


def write_site(folder: Path, name: str, seed: int) -> None:
    """Write a placed image of 96 px with three tanks, and the map of them."""
    rng = np.random.default_rng(seed)
    pixels = np.full((3, 96, 96), 90, np.uint8)
    features = []
    for number in range(3):
        x, y = 6 + 30 * number, int(rng.integers(6, 70))
        pixels[:, y : y + 16, x : x + 16] = 230
        ring = [(x, y), (x + 16, y), (x + 16, y + 16), (x, y + 16), (x, y)]
        placed = [[WEST + px * GSD_M, NORTH - py * GSD_M] for px, py in ring]
        shape = {"type": "Polygon", "coordinates": [placed]}
        features.append({"type": "Feature", "properties": {"class": "storage tank"}, "geometry": shape})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}
    (folder / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    place = from_origin(WEST, NORTH, GSD_M, GSD_M)
    with rasterio.open(
        folder / f"{name}.tif", "w", driver="GTiff", width=96, height=96, count=3, dtype="uint8", crs="EPSG:32616",
        transform=place,
    ) as file:  # fmt: skip
        file.write(pixels)


def with_argv(main: Callable[[], None], words: list[str]) -> None:
    sys.argv = ["program", *words]
    main()


def run_command(command: str) -> None:
    """Run a command of the page in this process, with steps and batches cut down."""
    words = [re.sub(r"^(\w+)=\d+$", lambda found: f"{found[1]}={SMALLER.get(found[1], found[0].split('=')[1])}", word)
             for word in shlex.split(command)]  # fmt: skip
    if words[:2] == ["python", "train/sft.py"]:
        start.run("", [*words[2:], *(["workers=0", "warmup_steps=1"] if "--dry-run" not in words else [])])
    elif words[0] == "nadir":
        app(words[1:], standalone_mode=False)
    elif words[2] == "data_engine":
        with pytest.raises(SystemExit) as ended:
            data_engine_main(words[3:])
        assert not ended.value.code, command
    elif words[2] == "train.estimate":
        estimates.main(words[3:])
    else:
        mains = {
            "train.align": align.main,
            "train.clip": clip.main,
            "train.grpo": grpo.main,
            "train.export": export.main,
        }
        with_argv(mains[words[2]], [*words[3:], *(["workers=0"] if words[2] == "train.clip" else [])])


def test_the_page_names_the_recipes_there_are() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert named == set(RECIPES) - {"smoke"}


@pytest.mark.slow
def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    (tmp_path / "mine").mkdir()
    for seed, name in enumerate(("north", "south")):
        write_site(tmp_path / "mine", name, seed)
    save_checkpoint(*build_tiny(), tmp_path / "vlm" / "nano")
    for command in COMMANDS:
        run_command(command)
    assert (tmp_path / "out" / "small" / "model.safetensors").exists()
    assert json.loads((tmp_path / "tanks.geojson").read_text())["type"] == "FeatureCollection"


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 14
