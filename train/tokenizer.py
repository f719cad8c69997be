"""A small tokenizer for small language models: byte-level BPE in which every integer from 0 to 1000 is one token.

Coordinates are the words that a grounding model writes most; with one token a number, a box costs 11 tokens.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import json
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, START, END, IMAGE = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"
TAGS = (
    "<box>",
    "</box>",
    "<obb>",
    "</obb>",
    "<quad>",
    "</quad>",
    "<poly>",
    "</poly>",
    "<seg>",
    "</seg>",
    "<ref>",
    "</ref>",
)
WORDS = r"\p{N}{1,4}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LARGEST_NUMBER = 1000


def build_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Train byte-level BPE of `vocab_size` merges and bytes on `texts`, then add the numbers, tags and control tokens.

    The control tokens get the lowest ids. Deterministic for the same texts in the same order.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _pre_tokenizer()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END, IMAGE],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator((_without_digits(text) for text in texts), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary, merges = _with_numbers(model["vocab"], [tuple(merge) for merge in model["merges"]])
    numbered = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    numbered.pre_tokenizer, numbered.decoder = _pre_tokenizer(), decoders.ByteLevel()
    numbered.add_special_tokens([AddedToken(token, special=True) for token in (PAD, START, END, IMAGE)])
    numbered.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=numbered,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START, IMAGE],
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )


def number_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Give the token ids of 0, 1, ..., 1000 where each is one token; an empty list where they are not."""
    ids = [tokenizer(str(number), add_special_tokens=False)["input_ids"] for number in range(LARGEST_NUMBER + 1)]
    return [token for (token,) in ids] if all(len(parts) == 1 for parts in ids) else []


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _without_digits(text: str) -> str:
    return "".join(" " if letter.isdigit() else letter for letter in text)


def _with_numbers(
    vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Add one token a number and every merge that can lead to it, whichever pair is joined first."""
    for number in map(str, range(LARGEST_NUMBER + 1)):
        vocabulary.setdefault(number, len(vocabulary))
    for number in map(str, range(10, LARGEST_NUMBER + 1)):
        merges += [
            (number[:cut], number[cut:])
            for cut in range(1, len(number))
            if number[:cut] in vocabulary and number[cut:] in vocabulary
        ]
    return vocabulary, merges
