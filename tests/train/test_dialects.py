"""A model is taught its own dialect, and others by their shares, in the words that asking for them takes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.vlm.tiny import build_tiny
from train.mixture import Conversation, Mixture, group_feed
from train.sft import read_dialects
from vlm.codecs import parse_text
from vlm.dialects import DIALECTS
from vlm.errors import GeometryError, InputError
from vlm.geometry.shapes import HBB, OBB, Geometry, Mask
from vlm.prompter import Prompter, Request, View
from vlm.records import Answer, Region, Sample, Turn

QWEN = '"bbox_2d"'
HINT = "Write places as qwen3 does."


@pytest.fixture
def conversation(samples: list[Sample]) -> Conversation:
    return group_feed([samples[0]], moves=False)(random.Random(0))


def texts(mixture: Mixture, conversation: Conversation, count: int) -> list[str]:
    """Write a conversation about a place many times."""
    tokenizer = mixture.processor.tokenizer
    encoded = [mixture.encode(conversation, random.Random(seed)) for seed in range(count)]
    return [tokenizer.decode(one["input_ids"]) for one in encoded]


def test_shares_of_the_conversations_are_in_other_dialects(conversation: Conversation) -> None:
    _, processor = build_tiny()
    written = texts(Mixture([], processor, 4, 0, others={"qwen3": 0.3}), conversation, 100)
    other = [text for text in written if QWEN in text]
    assert 15 <= len(other) <= 45
    assert all((QWEN in text) == (HINT in text) for text in written), "what is written is what was asked for"
    assert not any(QWEN in text for text in texts(Mixture([], processor, 4, 0), conversation, 20))


def test_a_model_of_another_dialect_is_taught_its_own(conversation: Conversation) -> None:
    _, processor = build_tiny()
    written = texts(Mixture([], processor, 4, 0, dialect="qwen3"), conversation, 10)
    assert all(QWEN in text and HINT not in text for text in written)


def test_asking_takes_the_words_that_were_taught(conversation: Conversation) -> None:
    model, processor = build_tiny()
    prompter = Prompter(model.config, processor)
    assert prompter.words(Request("Where is the box?", dialect="qwen3"), View()) == f"Where is the box? {HINT}"
    assert prompter.words(Request("Where is the box?", dialect="nadir"), View()) == "Where is the box?"


def test_shares_are_read_and_checked() -> None:
    assert read_dialects(("qwen3:0.1", "geochat:0.2")) == {"qwen3": 0.1, "geochat": 0.2}
    for given in (("qwen3",), ("qwen3:much",), ("qwen3:0.7", "geochat:0.5"), ("qwen3:-1",)):
        with pytest.raises(InputError):
            read_dialects(given)
    with pytest.raises(GeometryError, match="no dialect is called"):
        read_dialects(("klingon:0.1",))


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_can_be_taught_every_geometry(name: str, conversation: Conversation) -> None:
    _, processor = build_tiny()
    bits = np.zeros((16, 16), bool)
    bits[4:9, 3:12] = True
    slots: dict[str, Geometry] = {
        "box": HBB(4, 6, 20, 18),
        "obb": OBB(20, 12, 10, 6, 30),
        "seg": Mask(bits, HBB(0, 0, 48, 32)),
    }
    for slot, geometry in slots.items():
        turn = Turn("Where?", Answer(f"{{{slot}:0}}", (Region(geometry, "box"),), "ground"))
        asked = Conversation(conversation.pictures, (turn,), "ground")
        (written,) = texts(Mixture([], processor, 4, 0, others={name: 1.0}), asked, 1)
        told = written.split("assistant\n")[1].split("<|im_end|>")[0]
        assert parse_text(told, sizes=[(48, 32)], dialect=name).regions, told
