"""Splice: copy each image's visual tokens into its run of placeholders, or refuse.

Legend: B samples, S sequence length, E LLM width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vlm.errors import SpliceError


@dataclass(frozen=True, slots=True)
class Run:
    """Name one run of placeholders: sample, first position and length."""

    sample: int
    start: int
    length: int


def locate_runs(ids_BS: torch.Tensor, image_token_id: int) -> list[Run]:
    """Find the runs of the image token, sample by sample, left to right."""
    is_image = torch.nn.functional.pad((ids_BS == image_token_id).int(), (1, 1))
    steps = is_image.diff(dim=1)
    starts, ends = (steps == 1).nonzero().tolist(), (steps == -1).nonzero().tolist()
    return [Run(row, start, end - start) for (row, start), (_, end) in zip(starts, ends, strict=True)]


def splice(
    embeds_BSE: torch.Tensor, ids_BS: torch.Tensor, features: list[torch.Tensor], image_token_id: int
) -> torch.Tensor:
    """Give the embeddings with each image's features, (tokens, E) in order, in place of its placeholder run.

    Raises SpliceError with the counts when runs and images do not match: scattering anyway would silently put one
    image's features under another's name.
    """
    runs = locate_runs(ids_BS, image_token_id)
    expected, got = [len(tokens) for tokens in features], [run.length for run in runs]
    if expected != got:
        raise SpliceError(
            f"the prompt holds {len(got)} runs of image placeholders of lengths {got}, but the images give "
            f"{len(expected)} runs of visual tokens of lengths {expected}: build both with one processor call"
        )
    spliced = embeds_BSE.clone()
    for run, tokens in zip(runs, features, strict=True):
        spliced[run.sample, run.start : run.start + run.length] = tokens.to(spliced.dtype)
    return spliced
