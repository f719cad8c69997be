"""How vLLM is called: by which Python, of which release, and with which arguments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from serve.errors import RequestError
from serve.vllm_plugin.versions import SUPPORTED, describe_misfit

PYTHON = "NADIR_VLLM_PYTHON"
"""Environment variable: the Python of the environment in which vLLM is installed."""


def find_python() -> str | None:
    """Find the Python that has vLLM: the one that NADIR_VLLM_PYTHON names, or this one; None where there is none."""
    if named := os.environ.get(PYTHON):
        return named
    return sys.executable if find_spec("vllm") is not None else None


def read_release(python: str) -> str:
    """Ask a Python which vLLM it has; RequestError where it has none, or one of a release that is not served."""
    ask = [python, "-m", "serve.vllm_plugin", "release"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestError(f"{python} cannot be run ({error}): name the Python that has vLLM by {PYTHON}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise RequestError(f"{python} does not know Nadir ({last}): run pip install --no-deps nadir-vlm with it")
    found = json.loads(done.stdout)["vllm"]
    if found is None:
        raise RequestError(f"{python} has no vLLM: pip install 'vllm=={SUPPORTED}.*' with it, or serve --engine local")
    if misfit := describe_misfit(found):
        raise RequestError(misfit)
    return str(found)


def vllm_arguments(
    folder: Path,
    name: str,
    *,
    on_cpu: bool,
    images: int,
    adapters: Mapping[str, Path] | None = None,
    more: Sequence[str] = (),
) -> list[str]:
    """Give the arguments of `vllm serve` for a checkpoint with adapters by name; `more` are as vLLM knows them."""
    arguments = [
        str(folder), "--served-model-name", name,
        "--limit-mm-per-prompt", json.dumps({"image": images}),
        "--structured-outputs-config", json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}),
        "--uvicorn-log-level", "warning",
    ]  # fmt: skip
    if on_cpu:
        arguments += ["--dtype", "float32", "--enforce-eager"]
    if adapters:
        ranks = [require_adapter(path) for path in adapters.values()]
        arguments += ["--enable-lora", "--max-lora-rank", str(_rank_bound(max(ranks)))]
        # One slot more than adapters: on CPUs vLLM gives a question without an adapter the last slot's when it is
        # answered beside questions with one, and an empty slot adds nothing.
        arguments += ["--max-loras", str(len(adapters) + 1)]
        arguments += ["--lora-modules", *(f"{key}={path}" for key, path in adapters.items())]
    return [*arguments, *more]


def require_adapter(folder: Path) -> int:
    """Give the rank of an adapter in peft's format; RequestError where it is none, or changes more than the language
    model."""
    from safetensors import SafetensorError

    try:
        fields = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        names = _names(folder / "adapter_model.safetensors")
        whole = _names(folder / "modules.safetensors") if (folder / "modules.safetensors").is_file() else []
        rank = int(fields["r"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RequestError(
            f"{folder} is no adapter in peft's format ({error}): give one that training wrote"
        ) from error
    if outside := [*whole, *(name for name in names if ".language_model." not in name)]:
        raise RequestError(
            f"adapter {folder} also changes {outside[0]}: vLLM serves adapters of the language model alone; merge it "
            "into a checkpoint and serve that"
        )
    return rank


def _names(file: Path) -> list[str]:
    """List the tensors of a file."""
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as opened:
        return list(opened.keys())


def _rank_bound(rank: int) -> int:
    """Give the least bound of ranks that vLLM knows and that holds a rank."""
    return next((bound for bound in (8, 16, 32, 64, 128, 256, 320, 512) if bound >= rank), rank)
