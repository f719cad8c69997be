"""Memory and arithmetic of a training step, from counted parameters and the sizes of layers.

Weights, gradients and optimizer states are counted; what the backward pass keeps is added up tensor by tensor as torch
keeps it for the layers of transformers (sdpa attention), open_clip and the Q-former. Bytes unless a name says
otherwise; `b` is the bytes of a number in matrix products.

Legend: h width, q width of all queries, kv width of all keys, f inner width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from train.adapters import Adapter
from train.modules import Rates
from train.sizes import Count
from vlm.config import NadirConfig

GIB: Final = 2**30
FLOAT: Final = 4
ADAM: Final = 2 * FLOAT
"""AdamW's two moments of one parameter."""
NF4: Final = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a number in 4-bit NormalFloat: blocks of 64, whose scales are in 8 bits with a scale for 256 of them."""
BUCKET: Final = 500_000_000
"""Numbers in one of DeepSpeed's communication buckets, of which two are alive."""
CONTEXT: Final = 0.9 * GIB
"""What CUDA and its libraries take before the first tensor."""
SLACK: Final = 1.06
"""What the allocator holds of tensors that come and go in many sizes."""


@dataclass(frozen=True)
class Job:
    """Say how a model is trained on a cluster."""

    gpus: int = 1
    zero: Literal[0, 1, 2, 3] = 2
    """DeepSpeed's ZeRO stage: 1 shares out optimizer states, 2 gradients too, 3 weights too."""
    offload: bool = False
    """Keep the optimizer's states in the machine's memory."""
    checkpointing: bool = True
    """Compute the language model's and the encoder's layers again on the way back instead of keeping them."""
    micro_batch: int = 4
    """Conversations a GPU and pass."""
    tiles: float = 7
    """Tiles of a conversation's images."""
    text_tokens: float = 256
    """Tokens of a conversation that are words."""
    answer_tokens: float = 64
    """Those of them that are answers."""
    instruction_tokens: float | None = None
    """Those that the Q-former reads beside each tile; None counts on the most that it can read."""
    weights: Literal["bfloat16", "float32"] = "bfloat16"
    """Format of weights and gradients; 16-bit ones have a float32 copy for the optimizer."""
    rates: Rates = field(default_factory=Rates)
    adapter: Adapter = field(default_factory=Adapter)

    @property
    def bytes(self) -> int:
        return 2 if self.weights == "bfloat16" else FLOAT


def state_bytes(counts: Mapping[str, Count], job: Job) -> dict[str, float]:
    """Give what weights, gradients and the optimizer take on each GPU."""
    b = job.bytes
    trained = sum(count.trained for count in counts.values())
    in_4_bits = sum(count.in_4_bits for count in counts.values())
    total = sum(count.total for count in counts.values())
    weights = b * (total - in_4_bits) + NF4 * in_4_bits
    optimizer = (ADAM + (FLOAT if b < FLOAT else 0)) * trained
    buckets = 2 * b * min(BUCKET, trained) if job.zero >= 1 and job.gpus > 1 else 0
    return {
        "weights": weights / (job.gpus if job.zero == 3 else 1),
        "gradients": b * trained / (job.gpus if job.zero >= 2 else 1),
        "optimizer": 0.0 if job.offload else optimizer / (job.gpus if job.zero >= 1 else 1),
        "communication": buckets,
    }


def activation_bytes(config: NadirConfig, job: Job) -> dict[str, float]:
    """Give what a forward pass keeps for the way back, by part, and what the loss takes at its peak."""
    text = config.text_config
    tokens = job.micro_batch * (job.text_tokens + job.tiles * config.tokens_per_tile)
    tiles = job.micro_batch * job.tiles
    llm_token = llm_layer_bytes(text, job)
    layers = text.num_hidden_layers
    kept = layers * text.hidden_size * job.bytes + llm_token if job.checkpointing else layers * llm_token
    llm_backward = job.rates.llm > 0 or any(job.rates.table()[m] > 0 for m in ("qformer", "projector", "encoder"))
    return {
        "language model": tokens * kept if llm_backward else 0.0,
        "encoder": tiles * encoder_tile_bytes(config, job) if job.rates.encoder > 0 else 0.0,
        "q-former": tiles * qformer_tile_bytes(config, job) if _reaches_qformer(job.rates) else 0.0,
        "loss": job.micro_batch * job.answer_tokens * text.vocab_size * (3 * FLOAT + 2 * job.bytes),
    }


def llm_layer_bytes(text: Any, job: Job) -> float:
    """Give what one decoder layer keeps of a token: norms in float32, attention by sdpa, a gated MLP.

    A linear layer keeps its input where its weight trains or has an adapter; dropout in an adapter keeps another copy.
    """
    b, h, f = job.bytes, text.hidden_size, text.intermediate_size
    heads, groups = text.num_attention_heads, text.num_key_value_heads or text.num_attention_heads
    head = getattr(text, "head_dim", None) or h // heads
    q, kv = heads * head, groups * head
    whole = job.rates.llm > 0 and job.adapter.kind == "full"
    adapted = job.rates.llm > 0 and job.adapter.kind != "full"
    norms = 2 * h * (FLOAT + (b if whole else 0) + (b if whole or adapted else 0))
    normed = text.model_type == "qwen3"
    heads_norm = (q + kv) * (FLOAT + (b if whole else 0)) if normed else 0
    attention = b * (2 * q + 2 * kv)
    mlp = f * b * (4 if whole or adapted else 3)
    copies = (b + 1) * (5 * h + q + f) if adapted and job.adapter.dropout > 0 else 0
    return float(norms + heads_norm + attention + mlp + copies)


def encoder_tile_bytes(config: NadirConfig, job: Job) -> float:
    """Give what a vision transformer keeps of one tile; a convolutional tower counts as one of its width."""
    vision = config.clip_config["vision_cfg"]
    if "timm_model_name" in vision:
        return 12.0 * FLOAT * config.tile_px**2
    tokens = (config.tile_px // vision["patch_size"]) ** 2 + 1
    h, layers = vision["width"], vision["layers"]
    layer = 18 * h * job.bytes
    return float(tokens * (layers * h * job.bytes + layer if job.checkpointing else layers * layer))


def qformer_tile_bytes(config: NadirConfig, job: Job) -> float:
    """Give what the Q-former keeps of one tile: its layers, and the keys that their cross-attention reads."""
    former, b = config.qformer_config, job.bytes
    h, inner = former.hidden_size, former.intermediate_size
    rows = config.tokens_per_tile + config.max_instruction_tokens
    patches = _patches(config)
    crossed = -(-former.num_hidden_layers // former.cross_attention_frequency)
    own = rows * (9 * h + 2 * inner) + config.tokens_per_tile * 2 * inner
    cross = config.tokens_per_tile * 5 * h + 2 * patches * h
    keys = 3 * patches * former.encoder_hidden_size
    return float(b * (former.num_hidden_layers * own + crossed * cross + keys))


def flops_per_conversation(config: NadirConfig, counts: Mapping[str, Count], job: Job) -> dict[str, float]:
    """Give the operations of one conversation, forward and back: 2 a weight and token forward, as many for each
    gradient, by inputs and, where they train, by weights; once more forward for layers that are computed again.
    """
    text = config.text_config
    tokens = job.text_tokens + job.tiles * config.tokens_per_tile
    embeddings = text.vocab_size * text.hidden_size * (1 if text.tie_word_embeddings else 2)
    body = counts["llm"].total - embeddings
    again = 1 if job.checkpointing else 0
    by_weight = 1 if job.rates.llm > 0 and job.adapter.kind == "full" else 0
    attended = 2 * tokens * text.num_hidden_layers * text.num_attention_heads * (_head(text))
    llm = (2 * body + attended) * tokens * (2 + again + by_weight)
    llm += 6 * text.vocab_size * text.hidden_size * job.answer_tokens
    encoder_passes = 3 + again if job.rates.encoder > 0 else 1
    patches = _patches(config) + 1
    return {
        "language model": float(llm),
        "encoder": 2.0 * counts["encoder"].total * patches * job.tiles * encoder_passes,
        "q-former": qformer_tile_flops(config, job) * job.tiles * (3 if _reaches_qformer(job.rates) else 1),
    }


def qformer_tile_flops(config: NadirConfig, job: Job) -> float:
    """Give the operations of the Q-former on one tile, forward: queries and words see each other, queries the patches.

    Queries and words have inner layers of their own; keys and values are made of every patch.
    """
    former = config.qformer_config
    h, keys, inner = former.hidden_size, former.encoder_hidden_size, former.intermediate_size
    queries, patches = config.query_grid**2 + config.free_queries, _patches(config)
    words = config.max_instruction_tokens if job.instruction_tokens is None else job.instruction_tokens
    rows = queries + words
    own = rows * (4 * h * h + 2 * h * inner) + 2 * rows * rows * h
    cross = queries * 2 * h * h + patches * 2 * h * keys + 2 * queries * patches * h
    crossed = -(-former.num_hidden_layers // former.cross_attention_frequency)
    around = patches * h * keys + config.query_grid**2 * 4 * keys * h + words * h * config.text_config.hidden_size
    return float(2 * (former.num_hidden_layers * own + crossed * cross + around))


def _head(text: Any) -> int:
    return int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)


def _patches(config: NadirConfig) -> int:
    patch = config.clip_config["vision_cfg"].get("patch_size", 32)
    return int(config.tile_px // patch) ** 2


def _reaches_qformer(rates: Rates) -> bool:
    return any(rates.table()[module] > 0 for module in ("encoder", "qformer", "difference"))
