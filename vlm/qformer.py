"""The instruction-guided Q-former: anchored queries see the instruction's tokens and one tile's visual tokens.

The transformer is InstructBLIP's (Dai et al., 2023; transformers' own modules, so its weights load). Two things are
added outside of it. Anchors: the queries of a tile form a grid over it and carry, like the patch keys, the sine code
of their place in the whole image, and a projection of the patches under them; both also pass the transformer by, so
that a visual token says what lies where before any attention is learned. Words: the instruction's tokens are the
language model's own, embedded by a projection of its input embeddings; one tokenizer then serves both, any language
that the LLM knows is understood, and BERT's vocabulary is not needed.

Legend: N tiles, Q queries, T instruction tokens, L patches, K key width, D Q-former width, E LLM width.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.instructblip.modeling_instructblip import (
    InstructBlipQFormerOutput,
    InstructBlipQFormerSelfOutput,
)

from vlm.errors import CheckpointError
from vlm.positions import grid_points, sine_code

_QFORMER = re.compile(r"(?:^|\.)qformer\.|(?:^|\.)(?=query_tokens$)")
RESIDUAL_SCALE = 0.2
"""How large what an untrained layer adds is beside what it adds to: the layers normalise the sum, so that at 1 the
additions, which are much alike, wash out what tells the queries apart (as DeepNet, Wang et al., 2022, argues)."""
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"


class AnchoredQFormer(nn.Module):
    """Turn each tile's patch tokens into Q visual tokens, guided by the instruction. Cost is linear in the tiles."""

    def __init__(
        self,
        config: InstructBlipQFormerConfig,
        *,
        llm_width: int,
        query_grid: int,
        free_queries: int,
        levels: int,
        dates: int,
        renderings: int,
    ) -> None:
        super().__init__()
        width = config.hidden_size
        self.query_grid, self.free_queries = query_grid, free_queries
        self.words = nn.Linear(llm_width, width)
        self.queries = nn.Embedding(query_grid**2 + free_queries, width)
        self.level = nn.Embedding(levels, width)
        self.date = nn.Embedding(dates, width)
        self.rendering = nn.Embedding(renderings, width)
        self.key_place = nn.Linear(width, config.encoder_hidden_size, bias=False)
        self.local = nn.Linear(4 * config.encoder_hidden_size, width)
        self.transformer = InstructBlipQFormerModel(config)
        for module in self.transformer.modules():
            if isinstance(module, InstructBlipQFormerSelfOutput | InstructBlipQFormerOutput):
                module.dense.weight.data.mul_(RESIDUAL_SCALE)

    def forward(
        self,
        keys_NLK: torch.Tensor,
        grid: tuple[int, int],
        frames_N4: torch.Tensor,
        meta_N3: torch.Tensor,
        words_NTE: torch.Tensor,
        words_mask_NT: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the queries' outputs (N, Q, D) and what each carries past the transformer (N, Q, D).

        That is its place code and what lies under its anchor: a shallow model can then point before it can reason, and
        queries that the transformer makes alike still differ.
        `frames_N4` places each tile in its image (normalised), `meta_N3` holds level, date and rendering index.
        """
        width = self.queries.embedding_dim
        context_N1D = (self.level(meta_N3[:, 0]) + self.date(meta_N3[:, 1]) + self.rendering(meta_N3[:, 2])).unsqueeze(
            1
        )
        key_code = sine_code(grid_points(frames_N4, *grid), width).to(context_N1D.dtype)
        keys = keys_NLK + self.key_place(key_code + context_N1D)
        place_NQD = self._anchors(frames_N4, width).to(context_N1D.dtype) + context_N1D
        carried_NQD = place_NQD + self._local(keys_NLK, grid)
        queries_NQD = _first_rows(self.queries) + carried_NQD
        return self._attend(queries_NQD, self.words(words_NTE), words_mask_NT, keys), carried_NQD

    def placed(self, words_NTD: torch.Tensor) -> torch.Tensor:
        """Add to embedded words what says which is the first, which the second."""
        return words_NTD + _first_rows(self.transformer.embeddings.position_embeddings, words_NTD.shape[1])

    def _local(self, keys_NLK: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """Give what lies under each anchor, zeros for the free queries: (N, Q, D).

        A cell of the anchors' grid is pooled to 2 x 2 parts that stand side by side, so that where in the cell
        something lies is kept.
        """
        maps = keys_NLK.transpose(1, 2).unflatten(2, grid)
        parts = nn.functional.adaptive_avg_pool2d(maps, 2 * self.query_grid)
        cells = nn.functional.pixel_unshuffle(parts, 2).flatten(2).transpose(1, 2)
        return nn.functional.pad(self.local(cells), (0, 0, 0, self.free_queries))

    def _anchors(self, frames_N4: torch.Tensor, width: int) -> torch.Tensor:
        """Give the sine codes of the anchors, zeros for the free queries: (N, Q, D)."""
        anchored = sine_code(grid_points(frames_N4, self.query_grid, self.query_grid), width)
        return nn.functional.pad(anchored, (0, 0, 0, self.free_queries))

    def _attend(
        self, queries_NQD: torch.Tensor, words_NTD: torch.Tensor, mask_NT: torch.Tensor, keys_NLK: torch.Tensor
    ) -> torch.Tensor:
        """Run InstructBLIP's transformer on embedded words instead of BERT ids."""
        model = self.transformer
        tiles, queries = queries_NQD.shape[:2]
        embedded = torch.cat((queries_NQD, self.placed(words_NTD)), dim=1)
        embedded = model.embeddings.dropout(model.embeddings.layernorm(embedded))
        seen = torch.cat((mask_NT.new_ones(tiles, queries), mask_NT), dim=1)
        mask = create_bidirectional_mask(config=model.config, inputs_embeds=embedded, attention_mask=seen)
        return model.encoder(
            embedded, attention_mask=mask, encoder_hidden_states=keys_NLK, query_length=queries
        ).last_hidden_state[:, :queries]


def load_qformer_weights(qformer: AnchoredQFormer, folder: str | Path) -> None:
    """Load the Q-former of an InstructBLIP checkpoint directory (safetensors); its BERT word embeddings are left out.

    The learned queries come along where their number fits; what lies under the anchors is added to them from nothing,
    so that the pretrained layers first see what they know. Raises CheckpointError when the directory holds no
    Q-former or one of other sizes.
    """
    found: dict[str, torch.Tensor] = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                found |= {name: file.get_tensor(name) for name in file.keys() if _QFORMER.search(name)}  # noqa: SIM118
        except SafetensorError as error:
            raise CheckpointError(f"{path} cannot be read ({error}): copy the checkpoint again") from error
    weights = {_QFORMER.split(name)[-1]: tensor for name, tensor in found.items() if not name.endswith("query_tokens")}
    weights.pop(WORD_EMBEDDINGS, None)
    own = qformer.transformer.state_dict()
    wrong = [name for name in own if name != WORD_EMBEDDINGS and _shape(weights.get(name)) != own[name].shape]
    if wrong:
        raise CheckpointError(
            f"{folder} holds no Q-former of this size: {wrong[0]} is {_shape(weights.get(wrong[0]))}, expected "
            f"{tuple(own[wrong[0]].shape)}; give an InstructBLIP directory and its sizes as qformer_config"
        )
    qformer.transformer.load_state_dict(weights, strict=False)
    nn.init.zeros_(qformer.local.weight)
    nn.init.zeros_(qformer.local.bias)
    tokens = next((tensor for name, tensor in found.items() if name.endswith("query_tokens")), None)
    if tokens is not None and tokens.shape[-2:] == qformer.queries.weight.shape:
        qformer.queries.weight.data.copy_(tokens.reshape(qformer.queries.weight.shape))


def _first_rows(table: nn.Embedding, rows: int | None = None) -> torch.Tensor:
    """Give the first `rows` vectors of a table, by asking the module: ZeRO-3 gathers its weights only then."""
    vectors: torch.Tensor = table(
        torch.arange(table.num_embeddings if rows is None else rows, device=table.weight.device)
    )
    return vectors


def _shape(tensor: torch.Tensor | None) -> torch.Size | None:
    return None if tensor is None else tensor.shape
