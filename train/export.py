"""Export: a trained model, adapters merged, as the one directory that `Nadir.from_pretrained` and the server load.

    python -m train.export out/nano/sft/model vlm/nano
    python -m train.export out/lora/model out/served --dtype bfloat16
    python -m train.export out/lora/model out/small --bits 4
    python -m train.export out/lora/model out/served --keep-adapter

Weights are safetensors, with processor, tokenizer and a model card beside them. `--bits` writes the language model's
matrices by bitsandbytes: the directory loads as it is, in a quarter or half of the memory. vLLM serves the directory;
with `--keep-adapter` the language model's own weights stay as they were, and `OUT/adapter` is what
`vllm serve OUT --enable-lora --lora-modules name=OUT/adapter` takes, so that one server holds several.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import argparse
import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import nn

from train.adapters import BASE, load_adapted, merge_adapter, save_language_adapter
from train.modules import MODULES, Rates, module_of
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import CheckpointError, NadirError
from vlm.model import NadirForConditionalGeneration
from vlm.processor import NadirProcessor

LOG = logging.getLogger("nadir.train")
Dtype = Literal["float16", "bfloat16", "float32"]
Bits = Literal[4, 8, 16]
CARD: Final = "README.md"
NOTES: Final = "training.json"


def export(
    source: Path, target: Path, *, dtype: Dtype = "float16", bits: Bits = 16, keep_adapter: bool = False
) -> None:
    """Write the checkpoint or adapter of `source` to `target`; notes on the training come along, a card is written.

    A card that `target` has is kept. Files are replaced when all new ones are whole. Raises CheckpointError when a
    weight does not fit the format.
    """
    adapted = (source / BASE).is_file()
    model, processor = load_adapted(source) if adapted else load_checkpoint(source)
    new = target.with_name(f"{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    if adapted and keep_adapter:
        save_language_adapter(model, new / "adapter", base=str(target))
    if adapted:
        merge_adapter(model, leave=("llm",) if keep_adapter else ())
    convert(model, source, dtype)
    save_checkpoint(model, processor, new)
    if bits != 16:
        quantize_checkpoint(new, bits)
    if (source / NOTES).is_file():
        shutil.copy(source / NOTES, new / NOTES)
    if not (target / CARD).exists():
        (new / CARD).write_text(describe(model, processor, source, dtype=dtype, bits=bits), encoding="utf-8")
    move_files(new, target)


def convert(model: NadirForConditionalGeneration, source: Path, dtype: Dtype) -> None:
    """Change all weights to a format, in place; CheckpointError where one becomes infinite."""
    nn.Module.to(model, getattr(torch, dtype))
    broken = [name for name, tensor in model.state_dict().items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(
            f"{source}: {broken[0]} and {len(broken) - 1} others are not finite in {dtype}: keep float32"
        )


def quantize_checkpoint(folder: Path, bits: Bits) -> None:
    """Write a directory again with the language model's matrices in 4-bit NormalFloat or 8-bit integers."""
    from transformers import BitsAndBytesConfig

    left = [prefix.split(".")[0] for module, prefixes in MODULES.items() if module != "llm" for prefix in prefixes]
    settings = BitsAndBytesConfig(
        load_in_4bit=bits == 4,
        load_in_8bit=bits == 8,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=[*dict.fromkeys(left), "lm_head"],
    )
    model, processor = load_checkpoint(folder, dtype="bfloat16", quantization_config=settings)
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    save_checkpoint(model, processor, folder)


def describe(
    model: NadirForConditionalGeneration, processor: NadirProcessor, source: Path, *, dtype: Dtype, bits: Bits
) -> str:
    """Write a model card: what the model is made of, how it was trained, how it is asked and served."""
    config = model.config
    sizes = dict.fromkeys(Rates().table(), 0)
    for name, parameter in model.named_parameters():
        sizes[module_of(name)] += parameter.numel()
    rows = "\n".join(f"| {module} | {count / 1e6:,.2f} M |" for module, count in sizes.items())
    notes: dict[str, Any] = json.loads((source / NOTES).read_text()) if (source / NOTES).is_file() else {}
    run = "\n".join(f"- {name}: {value}" for name, value in notes.items() if name != "config") or "- not recorded"
    settings = json.dumps(notes.get("config", {}), indent=1)
    stored = f"the language model's matrices in {bits} bits (bitsandbytes)" if bits != 16 else dtype
    return f"""---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [remote-sensing, visual-grounding, nadir]
---

# A Nadir model

Imagery and an instruction to an answer on the map. Weights: {stored}. An image becomes up to {processor.default_tiles}
tiles of {config.tile_px} px, {config.tokens_per_tile} visual tokens each; places are written in the
`{config.dialect}` dialect.

| module | parameters |
| --- | --- |
{rows}

## Asking

```python
from vlm import Nadir

nadir = Nadir.from_pretrained("this directory")
nadir.ask("scene.tif", "Where are the ships?").to_geojson("ships.geojson")
```

## Training

{run}

```json
{settings}
```

## Scores

Not measured here: `make eval MODEL=this directory` writes them.
"""


def move_files(new: Path, target: Path) -> None:
    """Move every file of a folder to another, over what is there; weights that are left over from before go."""
    target.mkdir(parents=True, exist_ok=True)
    names = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
    for name in sorted(names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).replace(target / name)
    for stale in set(target.glob("*.safetensors*")) - {target / name for name in names}:
        stale.unlink()
    shutil.rmtree(new)


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="directory of a trained model or adapter")
    parser.add_argument("target", type=Path, help="directory to write")
    parser.add_argument("--dtype", choices=("float16", "bfloat16", "float32"), default="float16")
    parser.add_argument("--bits", type=int, choices=(4, 8, 16), default=16, help="of the language model's matrices")
    parser.add_argument("--keep-adapter", action="store_true", help="leave the language model's LoRA apart, for vLLM")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        export(
            arguments.source,
            arguments.target,
            dtype=arguments.dtype,
            bits=arguments.bits,
            keep_adapter=arguments.keep_adapter,
        )
    except NadirError as error:
        sys.exit(str(error))
    megabytes = sum(path.stat().st_size for path in arguments.target.glob("*.safetensors")) / 1e6
    LOG.info("%s", json.dumps({"model": str(arguments.target), "weights_mb": round(megabytes, 1)}))


if __name__ == "__main__":
    main()
