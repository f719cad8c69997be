"""A case file with real little images, for runs that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_picture(path: Path, *, size: tuple[int, int] = (32, 24), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_scene_cases(folder: Path, *, count: int = 12) -> Path:
    """Write the cases of rsicd-scene: `beach` and `airport` in turns, one question, an image each."""
    lines = []
    for number in range(count):
        image = write_picture(folder / "images" / f"{number}.png", seed=number)
        lines.append(
            {
                "id": f"case/{number}", "group": image.name, "images": [str(image)], "sizes": [[32, 24]],
                "window": None, "instruction": "What is the scene class?", "category": "scene",
                "answers": ["beach" if number % 2 else "airport"], "regions": [],
            }
        )  # fmt: skip
    head = {"suite": "rsicd-scene", "split": "val", "cases": count, "training": {"scene": {"beach": 3, "airport": 2}}}
    path = folder / "rsicd-scene.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [head, *lines]))
    return path


def write_json(path: Path, content: Any, *, lines: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content))


def write_mask(
    path: Path, *, box: tuple[int, int, int, int] = (4, 4, 20, 16), size: tuple[int, int] = (32, 24)
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bits = np.zeros((size[1], size[0]), np.uint8)
    bits[box[1] : box[3], box[0] : box[2]] = 255
    Image.fromarray(bits).save(path)


def make_pairs(folder: Path, count: int, *, suffix: str = "png", dates: tuple[str, str] = ("A", "B")) -> None:
    for n in range(count):
        for k, date in enumerate(dates):
            write_picture(folder / date / f"{n}.{suffix}", seed=2 * n + k)
