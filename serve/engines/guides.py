"""Answers that are held to a form: at each token, those that cannot go on to it are not drawn.

llguidance compiles regular expressions and JSON schemas, and says which tokens may come next; nothing is matched by
backtracking, and its own limits bound what a stranger's expression may cost.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import llguidance.hf
import llguidance.torch
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from transformers.generation import LogitsProcessor

from serve.engines.engine import Guide
from serve.errors import RequestError

_LIMITS = LLParserLimits(max_grammar_size=100_000, max_lexer_states=50_000, verbose_errors=False)


class Guided(LogitsProcessor):
    """Hold one answer to a guide; RequestError for an expression or a schema that cannot be read."""

    def __init__(self, guide: Guide, tokenizer: Any) -> None:
        self._guide, self._seen = guide, 0
        self._matcher = LLMatcher(_readable(tokenizer), _grammar(guide), log_level=0, limits=_LIMITS)
        self._require_sound()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Set the scores (1, vocabulary) of tokens that may not come next to -inf; the prompt (1, length) is passed."""
        if self._seen:
            self._matcher.consume_tokens(input_ids[0, self._seen :].tolist())
        self._seen = input_ids.shape[1]
        width = scores.shape[1]
        words = torch.zeros((1, (width + 31) // 32), dtype=torch.int32)
        llguidance.torch.fill_next_token_bitmask(self._matcher, words)
        self._require_sound()
        bits = (words[0, :, None] >> torch.arange(32, dtype=torch.int32)) & 1
        allowed = bits.flatten()[:width].bool().to(scores.device)
        return scores.masked_fill(~allowed, -torch.inf)

    def _require_sound(self) -> None:
        """Raise RequestError once the matcher gives up: at an expression that it cannot read, or one too costly."""
        if reason := self._matcher.get_error():
            raise _refusal(self._guide, reason)


def _grammar(guide: Guide) -> str:
    try:
        if guide.kind == "regex":
            return LLMatcher.grammar_from_regex(guide.text)
        return LLMatcher.grammar_from_json_schema(guide.text, defaults={"whitespace_flexible": False})
    except ValueError as error:
        raise _refusal(guide, str(error)) from error


def _refusal(guide: Guide, reason: str) -> RequestError:
    name = "regular expression" if guide.kind == "regex" else "JSON schema"
    return RequestError(f"the {name} cannot be held to ({' '.join(reason.split())[:200]}): give a simpler one")


class _Words:
    """Name the bytes of each token, as llguidance asks for them.

    Of its own it takes every added token in angle brackets for a control token, the marks of a region too.
    """

    def __init__(self, tokenizer: Any) -> None:
        known = llguidance.hf.from_tokenizer(tokenizer)
        self.eos_token_id, self.bos_token_id = tokenizer.eos_token_id, None
        self.special_token_ids = list(tokenizer.all_special_ids)
        self.tokens = [known.decode_bytes([token]) for token in range(known.vocab_size)]
        self._tokenizer = tokenizer

    def __call__(self, text: str) -> list[int]:
        """Give the tokens of a text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))


@lru_cache(maxsize=4)
def _readable(tokenizer: Any) -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(_Words(tokenizer)))
