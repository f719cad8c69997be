"""Fine-grained losses of the encoder (FarSLIP: Li et al., 2025, arXiv 2511.14901): regions by name, crops by patches.

Region and category: what an annotated region shows is told from the other categories of the step by their texts. The
region is cut out and goes through the tower as an image of its own ("cut", FarSLIP's way, which found that aligning
patches with words harms them), or its patches are taken from the image's grid by RoIAlign ("patches").

Patch to patch: a crop of the image goes through a teacher, a frozen copy of the tower or its moving average; the
patches of the whole image at the same place, by RoIAlign, are to be like the teacher's.

Legend: B images, R regions, K crops or categories, C channels of a patch, G side of the patch grid, D shared space.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import torch
from open_clip.transformer import VisionTransformer
from torch.nn import functional

from vlm.encoder import Encoder
from vlm.errors import InputError

FILE: Final = "teacher.pt"
"""The teacher's weights in a checkpoint."""
POINTS: Final = 8
"""Points a side that are read under a box, at least."""


class Teacher:
    """Hold a copy of a vision tower that no gradient reaches; with a `decay` below 1 it follows the tower's weights.

    It is no module of what trains: checkpoints hold it in a file of its own.
    """

    def __init__(self, encoder: Encoder, decay: float) -> None:
        self.decay, self._followed = decay, encoder.clip.visual
        self.layers = encoder.layers
        self.visual: Any = deepcopy(encoder.clip.visual).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self) -> None:
        """Follow a step of the tower."""
        if self.decay < 1:
            for own, one in zip(self.visual.parameters(), self._followed.parameters(), strict=True):
                own.lerp_(one.to(own.dtype), 1 - self.decay)

    @torch.no_grad()
    def patches(self, pixels_K3PP: torch.Tensor) -> torch.Tensor:
        """Give the patches (K, C, G, G) of images."""
        return see(self.visual, self.layers, pixels_K3PP)[1]

    def save(self, folder: Path) -> None:
        """Write the weights into a checkpoint's folder."""
        torch.save(self.visual.state_dict(), folder / FILE)

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint's weights; one written without a teacher leaves it as it is."""
        if (folder / FILE).exists():
            self.visual.load_state_dict(torch.load(folder / FILE, map_location="cpu", weights_only=True))


def see(visual: Any, layers: list[int], pixels_B3PP: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the embeddings (B, D) of images and their patches (B, C, G, G) in the first of `layers`, in one pass."""
    extra = {"normalize_intermediates": True} if isinstance(visual, VisionTransformer) else {}
    pixels = pixels_B3PP.contiguous(memory_format=torch.channels_last)
    found = visual.forward_intermediates(pixels, indices=layers, output_fmt="NCHW", **extra)
    return found["image_features"], found["image_intermediates"][sorted(layers).index(layers[0])]


def pool_boxes(
    patches_BCGG: torch.Tensor, boxes_R4: torch.Tensor, image_R: torch.Tensor, cells: int = 1
) -> torch.Tensor:
    """Give the patches (R, C, cells, cells) under boxes of images, whose corners are parts of the tile's side.

    RoIAlign (He et al., 2017): the mean of bilinear readings in each cell. torchvision's own needs its compiled part.
    """
    points = cells * -(-POINTS // cells)
    steps = (torch.arange(points, device=boxes_R4.device) + 0.5) / points
    x, y = (boxes_R4[:, at, None] + (boxes_R4[:, at + 2, None] - boxes_R4[:, at, None]) * steps for at in (0, 1))
    shape = (len(boxes_R4), points, points)
    grid = 2 * torch.stack((x[:, None].expand(shape), y[:, :, None].expand(shape)), dim=-1) - 1
    read = functional.grid_sample(patches_BCGG.float()[image_R], grid, padding_mode="border", align_corners=False)
    return functional.adaptive_avg_pool2d(read, cells)


def distil_loss(student_KCcc: torch.Tensor, teacher_KCGG: torch.Tensor) -> torch.Tensor:
    """Give how far patches turn from the teacher's of the same place: 1 - cosine, the mean over cells and crops.

    The teacher's are averaged to the student's cells; one cell a crop is FarSLIP's.
    """
    teacher = functional.adaptive_avg_pool2d(teacher_KCGG.float(), student_KCcc.shape[-1])
    return 1 - functional.cosine_similarity(student_KCcc, teacher, dim=1).mean()


def embed_boxes(
    encoder: Encoder, pixels_B3PP: torch.Tensor, boxes_R4: torch.Tensor, image_R: torch.Tensor
) -> torch.Tensor:
    """Give the embeddings (R, D) of what lies under boxes, from the image's last patches.

    Raises InputError for a tower whose patches have no way into the shared space.
    """
    visual: Any = encoder.clip.visual
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None and not visual.final_ln_after_pool:
        pooled = pool_boxes(see(visual, [-1], pixels_B3PP)[1], boxes_R4, image_R).flatten(1)
        return pooled if visual.proj is None else pooled @ visual.proj
    if hasattr(visual, "trunk"):
        patches = visual.trunk.forward_features(pixels_B3PP.contiguous(memory_format=torch.channels_last))
        if patches.ndim == 4:
            found: torch.Tensor = visual.head(visual.trunk.forward_head(pool_boxes(patches, boxes_R4, image_R)))
            return found
    raise InputError(
        "region_from=patches needs a plain vision transformer or a convolutional tower: set region_from=cut"
    )


def region_loss(
    regions_RD: torch.Tensor, texts_KD: torch.Tensor, scale: torch.Tensor, right_R: torch.Tensor
) -> torch.Tensor:
    """Give the sum over regions of the cross-entropy of their category among K; embeddings of any length."""
    logits = scale * functional.normalize(regions_RD.float(), dim=-1) @ functional.normalize(texts_KD.float(), dim=-1).T
    return functional.cross_entropy(logits, right_R, reduction="sum")
