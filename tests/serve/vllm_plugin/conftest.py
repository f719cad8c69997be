"""A tiny model with two adapters, behind one vLLM that all tests share; skipped where no vLLM is set up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import torch

from serve.engines.vllm_command import PYTHON, read_release, vllm_arguments
from serve.engines.vllm_process import VllmProcess
from tests.vlm.tiny import TEXTS
from train.adapters import Adapter, adapt_model, merge_adapter, save_adapted
from train.recipes import build_model, smoke
from train.tokenizer import build_tokenizer
from vlm.answer import Nadir
from vlm.checkpoint import load_checkpoint, save_checkpoint

ADAPTERS = {"ports": 5, "fields": 6}
FOLDERS = tuple(ADAPTERS)


@pytest.fixture(scope="session")
def vllm_python() -> str:
    if not (python := os.environ.get(PYTHON)):
        pytest.skip(f"needs vLLM: make test-vllm sets it up and names its Python by {PYTHON}")
    read_release(python)
    return python


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model whose attention heads are as wide as vLLM wants them."""
    torch.manual_seed(0)
    recipe = smoke()
    recipe = replace(recipe, text={**recipe.text, "hidden_size": 64, "head_dim": 32})
    model, processor = build_model(recipe, build_tokenizer(TEXTS * 20, vocab_size=400))
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(model.eval(), processor, folder)
    return folder


@pytest.fixture(scope="session")
def nadir(model_folder: Path) -> Nadir:
    return Nadir(*load_checkpoint(model_folder))


@pytest.fixture(scope="session")
def adapted(model_folder: Path) -> dict[str, tuple[Path, Nadir]]:
    """Write adapters of the language model, and give each with the model into which it is merged."""
    found = {}
    for name, seed in ADAPTERS.items():
        model, processor = load_checkpoint(model_folder)
        torch.manual_seed(seed)
        adapt_model(model, Adapter(kind="lora", rank=8, alpha=32, dropout=0.0), base=str(model_folder))
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(parameter, std=0.1)
            elif "lora_" not in key:
                parameter.requires_grad_(False)
        folder = model_folder.parent / name
        save_adapted(model, processor, folder)
        merge_adapter(model)
        found[name] = (folder, Nadir(model, processor))
    return found


@pytest.fixture(scope="session")
def process(
    vllm_python: str,
    model_folder: Path,
    adapted: dict[str, tuple[Path, Nadir]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[VllmProcess]:
    folders = {name: folder for name, (folder, _) in adapted.items()}
    arguments = vllm_arguments(model_folder, "tiny", on_cpu=True, images=8, adapters=folders)
    log = tmp_path_factory.mktemp("vllm") / "vllm.log"
    running = VllmProcess(vllm_python, arguments, log=log, say=lambda _: None, on_cpu=True)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def http(process: VllmProcess) -> Iterator[httpx2.Client]:
    transport = httpx2.HTTPTransport(uds=str(process.socket))
    with httpx2.Client(transport=transport, base_url="http://vllm", timeout=300) as client:
        yield client
