"""Measure training: learning by heart and asking back, rewards that rise, and the memory estimate against processes.

Run `python -m benchmarks.training` (about ten minutes on two cores); it writes benchmarks/training.md.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.path import name_commit, name_machine
from tests.train.made_tasks import ASKED, make_samples
from tests.train.memorise import find_wrong, memorise
from tests.vlm.tiny import build_tiny
from train.adapters import Adapter, adapt_model
from train.grpo import GrpoConfig, train_grpo
from train.memory import Job, activation_bytes, state_bytes
from train.modules import Rates, choose_trained
from train.sizes import build_empty, count_parameters, find_config
from vlm.answer import Nadir
from vlm.model import NadirForConditionalGeneration

REPORT: Final = Path(__file__).with_suffix(".md")
COUNT: Final = 32
TOKENS, SUPERVISED, BATCH = 256, 64, 4
TEXT: Final[dict[str, Any]] = {
    "model_type": "qwen3", "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 12,
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64, "vocab_size": 16000,
    "tie_word_embeddings": True,
}  # fmt: skip
JOBS: Final = {
    "full": Job(zero=0, checkpointing=False, weights="float32", tiles=0, micro_batch=BATCH, text_tokens=TOKENS,
                answer_tokens=SUPERVISED, rates=Rates(encoder=0.0)),
    "full, recomputed": Job(zero=0, checkpointing=True, weights="float32", tiles=0, micro_batch=BATCH,
                            text_tokens=TOKENS, answer_tokens=SUPERVISED, rates=Rates(encoder=0.0)),
    "LoRA": Job(zero=0, checkpointing=False, weights="float32", tiles=0, micro_batch=BATCH, text_tokens=TOKENS,
                answer_tokens=SUPERVISED, rates=Rates(encoder=0.0), adapter=Adapter("lora", rank=16)),
}  # fmt: skip


def measure_heart(folder: Path) -> dict[str, Any]:
    """Learn 32 samples of every task at once and ask for them again."""
    made = make_samples(folder, COUNT)
    samples = [sample for kind in ASKED for sample in made[kind]]
    model, processor = build_tiny()
    started = time.monotonic()
    losses = memorise(model, processor, samples, steps=6000, enough=0.003)
    took = time.monotonic() - started
    wrong = {one[0].split("/")[0] for one in find_wrong(Nadir(model, processor), samples)}
    exact = {kind: COUNT - len(find_wrong(Nadir(model, processor), made[kind])) if kind in wrong else COUNT
             for kind in ASKED}  # fmt: skip
    return {"steps": len(losses), "seconds": took, "loss": sum(losses[-6:]) / 6, "exact": exact}


def measure_rewards(folder: Path) -> dict[str, Any]:
    """Let models that learned a part reinforce themselves: words right or wrong, and boxes by IoU."""
    found: dict[str, Any] = {}
    for kind, steps in (("vqa", 60), ("box", 80)):
        samples = make_samples(folder, COUNT)[kind]
        model, processor = build_tiny()
        memorise(model, processor, samples, steps=60 if kind == "vqa" else 250)
        config = GrpoConfig(steps=steps, prompts=8, group=8, learning_rate=1e-3, max_new_tokens=16)
        with tempfile.TemporaryDirectory() as out:
            rewards = train_grpo(model, processor, samples, config, Path(out))
        found[kind] = {"first": sum(rewards[:8]) / 8, "last": sum(rewards[-8:]) / 8, "steps": steps}
    return found


def measure_memory(name: str) -> dict[str, float]:
    """Train a language model of 40 M for three steps in this process and give its peak beside the estimate."""
    job = JOBS[name]
    config = find_config(llm="Qwen3-0.6B", vision="ViT-B-32")
    config = type(config)(**{**config.to_dict(), "text_config": TEXT})
    counts = count_parameters(build_empty(config), job.rates, job.adapter)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.manual_seed(0)
    model = NadirForConditionalGeneration(config)
    adapt_model(model, job.adapter)
    trained = [parameter for _, parameter in choose_trained(model, job.rates)]
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.AdamW(trained, foreach=False)
    if job.checkpointing:
        model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
    rng = random.Random(0)
    for _ in range(3):
        ids = torch.tensor([[rng.randrange(16000) for _ in range(TOKENS)] for _ in range(BATCH)])
        at = torch.zeros(BATCH, TOKENS, dtype=torch.bool)
        at[:, -SUPERVISED:] = True
        logits = model.train()(input_ids=ids, attention_mask=torch.ones_like(ids), logits_at=at, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.float(), ids[at]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    states, kept = sum(state_bytes(counts, job).values()), sum(activation_bytes(config, job).values())
    return {"measured_mb": peak / 1e6, "states_mb": states / 1e6, "activations_mb": kept / 1e6}


def measure_apart(name: str) -> dict[str, float]:
    """Run measure_memory in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--memory", name], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def render(heart: dict[str, Any], rewards: dict[str, Any], memory: dict[str, dict[str, float]]) -> str:
    """Write the tables as Markdown."""
    lines = [
        "# Training", "", f"Machine: {name_machine()}. Commit {name_commit()}.",
        "Command: `python -m benchmarks.training`.", "", "## By heart", "",
        f"{COUNT} samples of each task together, a model of 0.1 M parameters: {heart['steps']} steps, "
        f"{heart['seconds']:.0f} s, loss {heart['loss']:.4f}. Asked again by `Nadir.ask`, answers equal to the last "
        "token:", "",
        "| task | exact |", "|---|---|",
        *(f"| {kind} | {count} of {COUNT} |" for kind, count in heart["exact"].items()),
        "", "## Rewards", "",
        "A model that learned a part of its task reinforces itself (train/grpo.py). Mean rewards:", "",
        "| task | reward | steps | first 8 | last 8 |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for kind, got in rewards.items():
        what = "exact words" if kind == "vqa" else "IoU and format"
        lines.append(f"| {kind} | {what} | {got['steps']} | {got['first']:.3f} | {got['last']:.3f} |")
    lines += [
        "", "## Memory: estimated and measured", "",
        f"A language model of 12 layers and width 512 with a ViT-B/32 and InstructBLIP's Q-former, float32, {BATCH} x "
        f"{TOKENS} tokens; the peak of a process above its imports, beside train/memory.py.", "",
        "| run | weights, gradients, optimizer MB | activations MB | estimated MB | measured MB | ratio |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, got in memory.items():
        total = got["states_mb"] + got["activations_mb"]
        lines.append(
            f"| {name} | {got['states_mb']:.0f} | {got['activations_mb']:.0f} | {total:.0f} | {got['measured_mb']:.0f} "
            f"| {total / got['measured_mb']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything, or one memory case when asked by a parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", choices=sorted(JOBS), help="run one case and print its JSON")
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(measure_memory(options.memory)))
        return
    memory = {name: measure_apart(name) for name in JOBS}
    with tempfile.TemporaryDirectory() as folder:
        heart, rewards = measure_heart(Path(folder)), measure_rewards(Path(folder))
    REPORT.write_text(render(heart, rewards, memory))
    print(json.dumps({"report": REPORT.name, "heart": heart, "rewards": rewards, "memory": memory}))


if __name__ == "__main__":
    main()
