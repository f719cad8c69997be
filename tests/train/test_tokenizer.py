"""The small tokenizer: numbers are one token, text comes back, control tokens are apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.vlm.tiny import TEXTS
from train.tokenizer import build_tokenizer, number_ids


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(TEXTS * 5, vocab_size=400)


def test_every_integer_up_to_1000_is_one_token(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = number_ids(tokenizer)
    assert len(set(ids)) == 1001
    pieces = tokenizer.tokenize("<box>[[0,7,45,1000]]</box>")
    assert [piece for piece in pieces if piece.isdigit()] == ["0", "7", "45", "1000"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_it_is_deterministic_and_survives_the_disk(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    assert build_tokenizer(TEXTS * 5, vocab_size=400).get_vocab() == tokenizer.get_vocab()
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "<|im_start|>user\n<image>\nWhere? <box>[[1,22,333,1000]]</box><|im_end|>"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert again.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]) == [0, 1, 2, 3]
