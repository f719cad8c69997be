"""The contrastive losses: of pairs in one batch or shared out to processes, of bags of words, of turned images.

Contrast is CLIP's (Radford et al., 2021), and every pair with the same caption belongs together; the bag of words is
SuperClass's (Huang et al., 2024); an image seen from above should mean the same however it is turned (the idea behind
GeoRSCLIP's filter: Zhang et al., 2024).

Legend: B images of the whole step, b of this process, D width of the shared space, W words.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import hashlib
import random
from collections.abc import Sequence

import torch
from open_clip.loss import ClipLoss
from torch.nn import functional

from vlm.encoder import CLIP


def word_loss(logits_BW: torch.Tensor, words: Sequence[Sequence[int]]) -> torch.Tensor:
    """Give the cross-entropy against each image's bag of words; it needs no text tower."""
    target = torch.zeros_like(logits_BW)
    for row, ids in enumerate(words):
        target[row].index_add_(0, torch.tensor(ids, dtype=torch.long), torch.full((len(ids),), 1 / max(1, len(ids))))
    return -(target * functional.log_softmax(logits_BW, dim=1)).sum(1).mean()


def contrastive_loss(
    images_BD: torch.Tensor, texts_BD: torch.Tensor, scale: torch.Tensor, same_BB: torch.Tensor
) -> torch.Tensor:
    """Give the symmetric cross-entropy in which every pair with the same caption counts as positive."""
    return symmetric_loss(scale * images_BD @ texts_BD.T, same_BB)


def symmetric_loss(logits: torch.Tensor, same_BB: torch.Tensor) -> torch.Tensor:
    """Give the cross-entropy of similarities (B, B) by rows and by columns; `same_BB` marks the pairs that belong."""
    return (row_loss(logits, same_BB).mean() + row_loss(logits.T, same_BB).mean()) / 2


def row_loss(logits_bB: torch.Tensor, same_bB: torch.Tensor) -> torch.Tensor:
    """Give the cross-entropy (b,) of each row of similarities against those that belong, in equal shares."""
    target = same_bB / same_bB.sum(1, keepdim=True)
    loss: torch.Tensor = -(target * functional.log_softmax(logits_bB, dim=1)).sum(1)
    return loss


def shared_contrast(
    images_bD: torch.Tensor,
    texts_bD: torch.Tensor,
    scale: torch.Tensor,
    captions: Sequence[str],
    *,
    rank: int = 0,
    ranks: int = 1,
) -> torch.Tensor:
    """Give this process's part of contrastive_loss over the pairs of all processes; the parts add up to the whole.

    Features are gathered with their gradients by open_clip's loss (local_loss, gather_with_grad), so that no process
    computes more than its own rows. Processes hold equally many pairs.
    """
    gather = ClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=ranks)
    by_image, by_text = gather.get_logits(images_bD, texts_bD, scale)
    own = torch.tensor([_number(text) for text in captions], device=images_bD.device)
    same = (own[:, None] == gather_rows(own, ranks)[None]).to(by_image.dtype)
    return (row_loss(by_image, same).sum() + row_loss(by_text, same).sum()) / (2 * len(captions) * ranks)


def gather_rows(values_b: torch.Tensor, ranks: int) -> torch.Tensor:
    """Give the values (B,) of all processes, in their order; each has equally many."""
    if ranks == 1:
        return values_b
    parts = [torch.empty_like(values_b) for _ in range(ranks)]
    torch.distributed.all_gather(parts, values_b)
    return torch.cat(parts)


def rotation_loss(clip: CLIP, pixels_B3PP: torch.Tensor, image_BD: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Give how far the embeddings of a quarter of the batch turn when the images do: 1 - cosine, the mean."""
    part = max(1, len(pixels_B3PP) // 4)
    turned = torch.rot90(pixels_B3PP[:part], rng.choice((1, 2, 3)), (2, 3))
    return 1 - functional.cosine_similarity(image_BD[:part], clip.encode_image(turned), dim=-1).mean()


def same_captions(captions: Sequence[str]) -> torch.Tensor:
    """Mark the pairs of images whose captions are the same, (B, B): neither is wrong for the other."""
    return torch.tensor([[float(a == b) for b in captions] for a in captions])


def _number(text: str) -> int:
    """Give a number of 64 bits for a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
