"""How much of what its devices could do a run does: model FLOPs utilisation, MFU (Chowdhery et al., PaLM, 2022).

Counted are the operations that the model needs, by the formulas of train/memory.py: what is computed again to save
memory is work that does not count, nor are the few words that the Q-former reads beside each tile. The peak is that of
dense 16-bit matrix products, whatever is multiplied in.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from train.adapters import Adapter
from train.estimate import TERAFLOPS
from train.memory import Job, flops_per_conversation
from train.modules import Rates
from train.sizes import Count, build_empty, count_parameters
from train.steps import StepResult
from vlm.config import NadirConfig


@dataclass(frozen=True)
class Speed:
    """Say how long a step would take at the peak of all devices."""

    config: NadirConfig
    counts: Mapping[str, Count]
    job: Job
    peak: float
    """Operations a second of all devices together."""

    def least_s(self, result: StepResult, conversations: int) -> float:
        """Give the seconds that a step of so many conversations takes at the peak; over those it took, this is MFU."""
        tiles = result.tiles / conversations
        job = replace(
            self.job,
            tiles=tiles,
            text_tokens=result.tokens / conversations - tiles * self.config.tokens_per_tile,
            answer_tokens=result.answered / conversations,
        )
        return conversations * sum(flops_per_conversation(self.config, self.counts, job).values()) / self.peak


def find_speed(
    config: NadirConfig, rates: Rates, adapter: Adapter, *, devices: int, teraflops: float | None
) -> Speed | None:
    """Give what MFU is told by; None where the peak is not known, or the operations: those of convolutional towers."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = teraflops or find_peak(name)
    if not peak or "timm_model_name" in config.clip_config["vision_cfg"]:
        return None
    counts = count_parameters(build_empty(config), rates, adapter)
    job = Job(checkpointing=False, instruction_tokens=0, rates=rates, adapter=adapter)
    return Speed(config, counts, job, devices * peak * 1e12)


def find_peak(name: str) -> float | None:
    """Give the peak of a GPU by the name that its driver tells, in 10^12 operations a second; None if not known."""
    known = [kind for kind in TERAFLOPS if _bare(kind) in _bare(name)]
    return float(TERAFLOPS[max(known, key=len)]) if known else None


def _bare(name: Any) -> str:
    return str(name).replace(" ", "").replace("-", "").upper()
