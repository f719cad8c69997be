"""Regions and patches: what lies under a box is read there, categories are told apart, and a teacher holds features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.vlm.tiny import build_tiny
from train.regions import Teacher, distil_loss, embed_boxes, pool_boxes, region_loss, see


def test_a_box_reads_the_patches_under_it() -> None:
    patches = torch.arange(16.0).view(1, 1, 4, 4)
    image = torch.zeros(3, dtype=torch.long)
    boxes = torch.tensor([[0.0, 0.0, 0.25, 0.25], [0.5, 0.25, 1.0, 0.75], [0.25, 0.0, 0.5, 1.0]])
    means = pool_boxes(patches, boxes, image).flatten()
    assert means[1] == pytest.approx(8.5, abs=0.1) and means[2] == pytest.approx(7.0, abs=0.1)
    assert float(means[0]) < 1.5
    whole = pool_boxes(patches, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), image[:1], cells=4)
    torch.testing.assert_close(whole, patches, atol=0.7, rtol=0)


def test_seeing_once_gives_embedding_and_patches() -> None:
    model, _ = build_tiny()
    visual, layers = model.encoder.clip.visual, model.encoder.layers
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        image, patches = see(visual, layers, pixels)
        torch.testing.assert_close(image, model.encoder.clip.encode_image(pixels))
        tokens, grid = model.encoder(pixels)
    assert patches.shape[-2:] == grid == (4, 4)
    torch.testing.assert_close(patches.flatten(2).transpose(1, 2), tokens[..., : patches.shape[1]])


def test_a_teacher_that_saw_the_same_asks_nothing() -> None:
    model, _ = build_tiny()
    encoder, boxes = model.encoder, torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(2, 1)
    pixels, image = torch.randn(2, 3, 32, 32), torch.arange(2)
    patches = see(encoder.clip.visual, encoder.layers, pixels)[1].detach()
    teacher = Teacher(encoder, decay=1.0).patches(pixels)
    same = distil_loss(pool_boxes(patches, boxes, image, 4), teacher)
    other = distil_loss(pool_boxes(patches, boxes, image, 4), teacher.flip(0))
    assert float(same) < float(other) and not teacher.requires_grad
    assert float(distil_loss(teacher, teacher)) == pytest.approx(0, abs=1e-6)


def test_a_teacher_follows_by_its_decay_and_comes_back(tmp_path: Path) -> None:
    model, _ = build_tiny()
    live = model.encoder.clip.visual.conv1.weight
    teacher, frozen = Teacher(model.encoder, decay=0.9), Teacher(model.encoder, decay=1.0)
    before = live.detach().clone()
    with torch.no_grad():
        live.add_(1.0)
    teacher.update()
    frozen.update()
    torch.testing.assert_close(teacher.visual.conv1.weight, before + 0.1)
    assert torch.equal(frozen.visual.conv1.weight, before)
    teacher.save(tmp_path)
    frozen.load(tmp_path)
    assert torch.equal(frozen.visual.conv1.weight, teacher.visual.conv1.weight)


def test_regions_are_told_by_their_category() -> None:
    texts = torch.eye(3)
    right = torch.tensor([0, 1, 2, 1])
    good, bad = (region_loss(texts[at], texts, torch.tensor(10.0), right) for at in (right, right.roll(1)))
    assert float(good) < 0.01 < 1 < float(bad)
    expected = functional.cross_entropy(10 * texts[right.roll(1)], right, reduction="sum")
    torch.testing.assert_close(bad, expected)


def test_boxes_are_embedded_in_the_shared_space() -> None:
    model, _ = build_tiny()
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])
    found = embed_boxes(model.encoder, torch.randn(1, 3, 32, 32), boxes, torch.zeros(2, dtype=torch.long))
    assert found.shape == (2, 16) and found.requires_grad and not torch.equal(found[0], found[1])
