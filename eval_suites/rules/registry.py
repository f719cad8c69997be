"""All rules by suite and protocol. The first rule of a suite is its default."""

from __future__ import annotations

import re
from typing import Final

from eval_suites.rules import (
    asked,
    captions,
    change_captions,
    changechat,
    choices,
    counting,
    earthvqa,
    geometry,
    matches,
    synonyms,
    typed,
)
from eval_suites.rules.rule import Rule
from vlm.errors import DataError

ALL: Final[tuple[Rule, ...]] = (
    *choices.RULES,
    *synonyms.RULES,
    *typed.RULES,
    *matches.RULES,
    *asked.RULES,
    *captions.RULES,
    *change_captions.RULES,
    *changechat.RULES,
    *earthvqa.RULES,
    *counting.RULES,
    *geometry.RULES,
)

RULES: Final[dict[tuple[str, str], Rule]] = {(suite, rule.protocol): rule for rule in ALL for suite in rule.suites}


def find_rule(suite: str, protocol: str | None = None) -> Rule:
    """Give the rule of a suite: of that protocol (or an alias of it), or the default; DataError lists what there is."""
    known = rules_of(suite)
    if not known:
        raise DataError(f"no rule for suite {suite!r}: known are {', '.join(dict.fromkeys(name for name, _ in RULES))}")
    if protocol is None or _plain(protocol) in ("", "default"):
        return known[0]
    for rule in known:
        if _plain(protocol) in {_plain(name) for name in (rule.protocol, *rule.aliases)}:
            return rule
    if _plain(protocol) == "official":
        return known[0]
    raise DataError(
        f"suite {suite} has no protocol {protocol!r}: known are {', '.join(rule.protocol for rule in known)}"
    )


def rules_of(suite: str) -> tuple[Rule, ...]:
    """Give the rules of a suite, the default first; none for an unknown suite."""
    return tuple(rule for (name, _), rule in RULES.items() if _plain(name) == _plain(suite))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9>.]+", "", name.lower())
