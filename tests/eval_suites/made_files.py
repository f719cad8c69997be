"""A case file with real little images, for runs that read them."""

from __future__ import annotations

import json
from pathlib import Path

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
