"""The Q-former is InstructBLIP's, plus anchors: on the same words and queries it computes what transformers does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

from train.recipes import build_model, nano
from train.tokenizer import build_tokenizer
from vlm.errors import CheckpointError
from vlm.positions import grid_points, sine_code
from vlm.prompts import user_message
from vlm.qformer import WORD_EMBEDDINGS, AnchoredQFormer, load_qformer_weights

WIDTH, KEYS, QUERIES, WORDS, TILES = 32, 24, 5, 7, 3


def build(frequency: int = 2) -> tuple[AnchoredQFormer, InstructBlipQFormerModel]:
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 50, "hidden_size": WIDTH, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 64, "encoder_hidden_size": KEYS, "max_position_embeddings": 16,
        "cross_attention_frequency": frequency,
    }  # fmt: skip
    reference = InstructBlipQFormerModel(InstructBlipQFormerConfig(**sizes)).eval()
    ours = AnchoredQFormer(
        InstructBlipQFormerConfig(**sizes),
        llm_width=WIDTH,
        query_grid=2,
        free_queries=1,
        levels=4,
        dates=4,
        renderings=4,
    ).eval()
    ours.transformer.load_state_dict(reference.state_dict())
    return ours, reference


def test_equals_transformers_with_the_same_weights() -> None:
    ours, reference = build()
    ids, keys = torch.randint(0, 50, (TILES, WORDS)), torch.randn(TILES, 9, KEYS)
    queries, mask = torch.randn(TILES, QUERIES, WIDTH), torch.ones(TILES, WORDS, dtype=torch.long)
    mask[1, 4:] = 0
    with torch.no_grad():
        expected = reference(
            input_ids=ids,
            query_embeds=queries,
            attention_mask=torch.cat((torch.ones(TILES, QUERIES, dtype=torch.long), mask), dim=1),
            encoder_hidden_states=keys,
        ).last_hidden_state[:, :QUERIES]
        got = ours._attend(queries, reference.embeddings.word_embeddings(ids), mask, keys)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_padding_words_are_not_seen_and_every_parameter_learns() -> None:
    ours, _ = build(frequency=1)
    frames, meta = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.zeros(1, 3, dtype=torch.long)
    keys, words = torch.randn(1, 9, KEYS), torch.randn(1, WORDS, WIDTH)
    mask = torch.ones(1, WORDS, dtype=torch.long)
    mask[:, 5:] = 0
    full, _ = ours(keys, (3, 3), frames, meta, words, mask)
    cut, _ = ours(keys, (3, 3), frames, meta, words[:, :5], mask[:, :5])
    torch.testing.assert_close(full, cut, rtol=0, atol=1e-5)
    full.sum().backward()
    unused = [name for name, parameter in ours.named_parameters() if parameter.grad is None]
    assert unused == ["transformer.embeddings.word_embeddings.weight"]


def test_an_anchor_carries_what_lies_under_it_and_nothing_else() -> None:
    ours, _ = build()
    frames, meta = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.zeros(1, 3, dtype=torch.long)
    words, mask = torch.randn(1, WORDS, WIDTH), torch.ones(1, WORDS, dtype=torch.long)
    keys = torch.randn(1, 4 * 6, KEYS)
    moved = keys.clone()
    moved[0, 1 * 6 + 4] += 1.0
    with torch.no_grad():
        carried, other = (ours(seen, (4, 6), frames, meta, words, mask)[1] for seen in (keys, moved))
    changed = (carried - other).abs().amax(-1)[0] > 1e-6
    assert changed.tolist() == [False, True, False, False, False], "row 1, column 4 of 4 x 6 lies in the upper right"


def test_queries_of_an_untrained_model_do_not_become_one() -> None:
    """At full-sized initial weights the layers' normalised sums made all anchors of a tile the same vector."""
    model, processor = build_model(nano(), build_tokenizer(["a word"], vocab_size=300))
    found: list[torch.Tensor] = []
    model.qformer.register_forward_hook(lambda module, inputs, output: found.append(output[0]))
    pixels = torch.randint(0, 255, (128, 128, 3), dtype=torch.uint8).numpy()
    image = processor.tile_array(pixels)
    with torch.no_grad():
        model.eval()(**processor.collate([processor.encode([user_message("Where is it?", [""])], [image])]))
    anchored = found[0][0, : model.config.query_grid**2]
    assert float(anchored.std(0).mean()) > 0.25


def test_anchors_lie_where_the_tile_lies_in_the_image() -> None:
    frames = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.0, 0.25]])
    points = grid_points(frames, 2, 2)
    assert points[0].tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert points[1].tolist() == [[0.625, 0.0625], [0.875, 0.0625], [0.625, 0.1875], [0.875, 0.1875]]
    codes = sine_code(points, 32)
    assert codes.shape == (2, 4, 32)
    assert (codes[0, 0] - codes[1, 0]).abs().max() > 0.1, "the same place in two tiles is two places in the image"
    same = sine_code(grid_points(torch.tensor([[0.0, 0.0, 0.5, 0.5]]), 1, 1), 32)[0, 0]
    torch.testing.assert_close(same, codes[0, 0], msg="one place in the image has one code, whatever tile shows it")


def test_starts_from_instructblip_weights(tmp_path: Path) -> None:
    _, reference = build()
    ours, _ = build()
    ours.transformer.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    state = {f"model.qformer.{name}": tensor.clone() for name, tensor in reference.state_dict().items()}
    save_file({**state, "model.query_tokens": torch.randn(1, QUERIES, WIDTH)}, tmp_path / "model.safetensors")
    load_qformer_weights(ours, tmp_path)
    for name, tensor in ours.transformer.state_dict().items():
        assert name == WORD_EMBEDDINGS or torch.equal(tensor, reference.state_dict()[name])
    assert not ours.local.weight.any(), "what is read under the anchors joins the pretrained queries from nothing"
    assert torch.equal(ours.queries.weight, load_file(tmp_path / "model.safetensors")["model.query_tokens"][0])


def test_a_directory_without_a_qformer_is_refused(tmp_path: Path) -> None:
    ours, _ = build()
    with pytest.raises(CheckpointError, match="holds no Q-former of this size"):
        load_qformer_weights(ours, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_qformer_weights(ours, tmp_path)
