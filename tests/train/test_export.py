"""An exported directory loads and answers as the trained model did: half precision, merged, in 4 or 8 bits."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.vlm.tiny import TEXTS, build_tiny
from train.adapters import Adapter, adapt_model, save_adapted
from train.export import export
from train.modules import LORA, Rates, choose_trained
from train.recipes import build_model, smoke
from train.tokenizer import build_tokenizer
from vlm.answer import Nadir
from vlm.checkpoint import load_checkpoint, save_checkpoint
from vlm.errors import CheckpointError
from vlm.model import NadirForConditionalGeneration

PROMPT = {"input_ids": torch.tensor([[5, 9, 11, 40, 7, 30, 22, 8]])}


@torch.no_grad()
def answer(model: NadirForConditionalGeneration) -> torch.Tensor:
    return model(**PROMPT, use_cache=False).logits.float()


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    model, processor = build_tiny()
    save_checkpoint(model, processor, tmp_path / "base")
    (tmp_path / "base" / "training.json").write_text(json.dumps({"config": {"batch": 2}, "step": 7}))
    return tmp_path / "base"


@pytest.fixture
def adapted(trained: Path) -> tuple[Path, torch.Tensor]:
    """Give a directory with an adapter that says something, and what the model says with it."""
    model, processor = load_checkpoint(trained)
    adapt_model(model, Adapter("lora", rank=2, dropout=0.0, modules=("llm", "projector")), base=str(trained))
    choose_trained(model, Rates(encoder=0.0))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if LORA in name:
                parameter.normal_(std=0.2)
    save_adapted(model, processor, trained.parent / "adapter")
    return trained.parent / "adapter", answer(model.eval())


def test_a_model_becomes_half_as_large_and_keeps_its_notes_and_card(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale.safetensors").write_bytes(b"")
    export(trained, tmp_path / "out")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()} == {torch.float16}
    assert json.loads((tmp_path / "out" / "training.json").read_text())["step"] == 7
    card = (tmp_path / "out" / "README.md").read_text()
    assert "- step: 7" in card and "| llm |" in card and '"batch": 2' in card
    assert not (tmp_path / "out" / "stale.safetensors").exists() and not (tmp_path / "out.new").exists()
    (tmp_path / "out" / "README.md").write_text("mine")
    export(trained, tmp_path / "out", dtype="bfloat16")
    assert (tmp_path / "out" / "README.md").read_text() == "mine"
    assert isinstance(Nadir.from_pretrained(tmp_path / "out"), Nadir)


def test_an_adapter_is_merged(adapted: tuple[Path, torch.Tensor], tmp_path: Path) -> None:
    folder, said = adapted
    export(folder, tmp_path / "out", dtype="float32")
    torch.testing.assert_close(answer(load_checkpoint(tmp_path / "out")[0]), said, atol=1e-4, rtol=1e-4)


def test_an_adapter_is_kept_apart_for_the_server(
    trained: Path, adapted: tuple[Path, torch.Tensor], tmp_path: Path
) -> None:
    folder, said = adapted
    export(folder, tmp_path / "out", dtype="float32", keep_adapter=True)
    model, _ = load_checkpoint(tmp_path / "out")
    base, _ = load_checkpoint(trained)
    torch.testing.assert_close(answer(model), answer(base))
    assert not torch.equal(model.projector.weight, base.projector.weight), "all but the language model is merged"
    from peft import PeftModel

    torch.testing.assert_close(answer(PeftModel.from_pretrained(model, str(tmp_path / "out" / "adapter"))), said)
    assert all(
        ".language_model." in name for name in load_file(tmp_path / "out" / "adapter" / "adapter_model.safetensors")
    )


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize(("bits", "alike"), [(4, 0.9), (8, 0.99)])
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_the_language_model_in_few_bits(tmp_path: Path, bits: Any, alike: float) -> None:
    """Blocks of 4-bit numbers are 64 long, so this model is as wide; its random weights lose more than trained ones."""
    recipe = replace(smoke(), text={**smoke().text, "hidden_size": 64, "intermediate_size": 128, "head_dim": 32})
    torch.manual_seed(0)
    trained = tmp_path / "wide"
    save_checkpoint(*build_model(recipe, build_tokenizer(TEXTS * 20, vocab_size=400)), trained)
    export(trained, tmp_path / "out", bits=bits)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    assert weights[name].dtype == (torch.uint8 if bits == 4 else torch.int8)
    assert weights["projector.weight"].is_floating_point()
    model, _ = load_checkpoint(tmp_path / "out")
    said, expected = answer(model), answer(load_checkpoint(trained)[0])
    assert float(torch.nn.functional.cosine_similarity(said, expected, dim=-1).mean()) > alike


def test_what_does_not_fit_half_precision_is_refused(trained: Path, tmp_path: Path) -> None:
    model, processor = load_checkpoint(trained)
    with torch.no_grad():
        model.projector.weight[0, 0] = 1e6
    save_checkpoint(model, processor, trained)
    with pytest.raises(CheckpointError, match=r"projector.weight and 0 others are not finite in float16: keep float32"):
        export(trained, tmp_path / "out")
    assert not (tmp_path / "out").exists()
