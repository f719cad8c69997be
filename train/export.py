"""Export: the tuned model in half precision, as the directory that `Nadir.from_pretrained` loads.

python -m train.export out/nano/sft/model vlm/nano
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import shutil
from pathlib import Path

import torch

from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import CheckpointError


def export(source: Path, target: Path) -> None:
    """Write the checkpoint of `source` to `target` in float16; notes on the training come along.

    Raises CheckpointError when a weight does not fit half precision.
    """
    model, processor = load_checkpoint(source)
    model.half()
    broken = [name for name, tensor in model.state_dict().items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(
            f"{source}: {broken[0]} and {len(broken) - 1} others are not finite in float16: keep float32"
        )
    save_checkpoint(model, processor, target)
    shutil.copy(source / "training.json", target / "training.json")


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="directory of a trained model")
    parser.add_argument("target", type=Path, help="directory to write")
    arguments = parser.parse_args()
    export(arguments.source, arguments.target)


if __name__ == "__main__":
    main()
