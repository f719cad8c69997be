"""The model as vLLM runs it: vlm.sight sees, as in training and in transformers; the language model is vLLM's own.

Legend: N tiles, I images, L patches, C channels of a patch, E LLM width.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import os
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch
from vllm.model_executor.models.interfaces import SupportsLoRA, SupportsMultiModal, SupportsPP
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import AutoWeightsLoader, init_vllm_registered_model, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY

from serve.vllm_plugin.features import Features
from serve.vllm_plugin.processing import NadirDummyInputs, NadirInfo, NadirVllmProcessor
from vlm.config import NadirConfig
from vlm.processor import normalise
from vlm.sight import Grid, Sight

CACHE_MIB = "NADIR_FEATURES_MIB"
"""Environment variable: the most MiB of encoder features that are kept on the device."""
_DEFAULT_MIB = "256"
_LANGUAGE = "language_model."
_UNUSED = ("qformer.locate.",)


@MULTIMODAL_REGISTRY.register_processor(NadirVllmProcessor, info=NadirInfo, dummy_inputs=NadirDummyInputs)
class NadirForConditionalGeneration(Sight, SupportsMultiModal, SupportsLoRA, SupportsPP):
    """Join the visual side and a language model of vLLM."""

    packed_modules_mapping: ClassVar[dict[str, list[str]]] = {
        "qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
    }

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str:
        """Name the placeholder of an image in a prompt."""
        if not modality.startswith("image"):
            raise ValueError(f"Nadir reads images, not {modality}: leave it out")
        return "<image>"

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__()
        self.config: NadirConfig = vllm_config.model_config.hf_config
        marks: Any = self
        with marks._mark_tower_model(vllm_config, "image"):
            self.add_sight(self.config)
        with marks._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=self.config.text_config,
                prefix=maybe_prefix(prefix, "language_model"),
            )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors
        self.features = Features(int(os.environ.get(CACHE_MIB, _DEFAULT_MIB)) * 1024**2)
        self._grid: Grid = (0, 0)

    def embed_words(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Embed token ids (..., E), past any adapter: instructions are heard alike with and without one."""
        table = self.language_model.model.embed_tokens
        embedded: torch.Tensor = getattr(table, "base_layer", table)(input_ids)
        return embedded

    def embed_multimodal(self, **fields: Any) -> list[torch.Tensor]:
        """Give the visual tokens of each image, (L, E), as vlm.sight gives them."""
        if fields.get("pixels") is None:
            return []
        own, others = (fields[name].flatten().tolist() for name in ("num_tiles", "partner_tiles"))
        patches = self._see(_joined(fields["pixels"]), own, others, fields["picture_keys"].reshape(-1, 2, 2).tolist())
        frames, meta = _joined(fields["tile_frames"]), _joined(fields["tile_meta"])
        visual = self._compare(patches, meta, own, others)
        ids, mask = _joined(fields["qformer_input_ids"]), _joined(fields["qformer_attention_mask"])
        longest = max(1, int(mask.sum(1).max()))
        tiles = torch.tensor(own, device=meta.device)
        return self.tell_images(visual, self._grid, frames, meta, tiles, ids[:, :longest], mask[:, :longest])

    def _see(
        self, pixels: torch.Tensor, own: list[int], others: list[int], keys: list[list[list[int]]]
    ) -> list[torch.Tensor]:
        """Give the patches of each image and of each partner, in turn; what was seen before is not seen again."""
        sizes = [size for pair in zip(own, others, strict=True) for size in pair]
        names = [(first, second) for pair in keys for first, second in pair]
        parts = dict(zip(names, pixels.split(sizes), strict=True))
        seen = {name: self.features.get(name) for name, part in parts.items() if len(part)}
        missing = [name for name, patches in seen.items() if patches is None]
        if missing:
            new = normalise(torch.cat([parts[name] for name in missing]), self.config.image_mean, self.config.image_std)
            patches, self._grid = self.encode_tiles(new)
            for name, own_patches in zip(missing, patches.split([len(parts[name]) for name in missing]), strict=True):
                seen[name] = own_patches
                self.features.put(name, own_patches)
        return [found for name in names if (found := seen.get(name)) is not None]

    def _compare(
        self, patches: list[torch.Tensor], meta: torch.Tensor, own: list[int], others: list[int]
    ) -> torch.Tensor:
        """Give the keys (N, L, K) of the images' own tiles, with what changed since their partners."""
        partner: list[int] = []
        mine: list[int] = []
        for count, other in zip(own, others, strict=True):
            first = len(partner)
            mine += range(first, first + count)
            partner += range(first + count, first + 2 * count) if other else [-1] * count
            partner += [-1] * other
        where = torch.tensor(mine, device=meta.device)
        every = meta.new_zeros(len(partner), meta.shape[1])
        every[where] = meta
        return self.compare_dates(torch.cat(patches), every, torch.tensor(partner, device=meta.device))[where]

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: object,
    ) -> Any:
        """Run the language model's layers."""
        embeds = None if intermediate_tensors is not None else inputs_embeds
        return self.language_model.model(input_ids, positions, intermediate_tensors, inputs_embeds=embeds)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Give the logits; the image's placeholder is never generated, as in vlm.model's generate."""
        logits: torch.Tensor | None = self.language_model.compute_logits(hidden_states)
        if logits is not None:
            logits[..., self.config.image_token_id] = -torch.inf
        return logits

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load a checkpoint and give the names of what was loaded; vLLM refuses to start where one is missing."""
        own = dict(self.named_parameters()) | dict(self.named_buffers())
        seen: set[str] = set()

        def language() -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in weights:
                if name.startswith(_LANGUAGE):
                    yield name, tensor
                elif not name.startswith(_UNUSED):
                    own[name].data.copy_(tensor)
                    seen.add(name)

        loaded: set[str] = AutoWeightsLoader(self).load_weights(language())
        return loaded | seen

    def get_mm_mapping(self) -> MultiModelKeys:
        """Say which modules see and which speak, so that adapters go to those that speak."""
        return MultiModelKeys.from_string_field(
            language_model="language_model",
            connector=["keys", "difference", "qformer", "projector", "place", "pointer"],
            tower_model="encoder",
        )


def _joined(field: Any) -> torch.Tensor:
    """Join a field over the images, which vLLM gives as a tensor, or as a list where shapes differ."""
    joined: torch.Tensor = torch.cat(list(field)) if isinstance(field, list | tuple) else field
    return joined
