"""All rules by suite and protocol. The first rule of a suite is its default.

Names are compared without case, blanks, hyphens and underscores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
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

# What the field calls a suite, where that is another name; compared as suites' own names are.
OTHER_NAMES: Final = {
    "xlrs-bench": "xlrs", "xlrs-lite": "xlrs", "xlrs-bench-lite": "xlrs", "mme-realworld": "mme-rs",
    "mme-realworld-rs": "mme-rs", "lrben": "rsvqa-lr", "hrben": "rsvqa-hr", "rsvqa-lrben": "rsvqa-lr",
    "rsvqa-hrben": "rsvqa-hr", "vrsbench-caption": "vrsbench-cap", "vrsbench-referring": "vrsbench-ref",
    "geoground": "refgeo", "lmmrotate": "dota-text", "rsicd-captions": "caption-rsicd", "ucm-captions": "caption-ucm",
    "sydney-captions": "caption-sydney", "nwpu-captions": "caption-nwpu", "rsitmd-captions": "caption-rsitmd",
    "dubai-cc": "dubai", "qag-360k": "qag", "changechat-105k": "changechat", "levir-cd": "change-mask",
    "geobench-vlm": "geobench", "vleo-bench": "vleo", "earthdial-xbd": "xbd", "xbd-precision": "xbd",
    "zero-shot": "zeroshot",
}  # fmt: skip
_FILLERS = re.compile(r"'s\b|\b(the|rule|protocol|variant|extractor)\b")


def name_suite(name: str, known: Iterable[str]) -> str:
    """Give the known suite that a name means, whatever its case, hyphens and underscores, or by what the field calls
    it; the name as it is where none is meant.
    """
    plain = _plain(name)
    own = {_plain(one): one for one in known}
    return own.get(plain) or own.get(_plain(_OTHER.get(plain, ""))) or name


def find_rule(suite: str, protocol: str | None = None) -> Rule:
    """Give the rule of a suite: of that protocol (or an alias of it), or the default; DataError lists what there is."""
    known = rules_of(suite)
    if not known:
        near = get_close_matches(suite.lower(), _suites(), n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise DataError(f"no rule for suite {suite!r}{meant}: known are {', '.join(_suites())}")
    if protocol is None or _plain_protocol(protocol) in ("", "default", "asabove"):
        return known[0]
    for rule in known:
        if _plain_protocol(protocol) in {_plain_protocol(name) for name in (rule.protocol, *rule.aliases)}:
            return rule
    if _plain_protocol(protocol) == "official":
        return known[0]
    raise DataError(
        f"suite {suite} has no protocol {protocol!r}: known are {', '.join(rule.protocol for rule in known)}"
    )


def rules_of(suite: str) -> tuple[Rule, ...]:
    """Give the rules of a suite, the default first; none for an unknown suite."""
    wanted = name_suite(suite, _suites())
    return tuple(rule for (name, _), rule in RULES.items() if name == wanted)


def _suites() -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name, _ in RULES))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9>.]+", "", name.lower())


def _plain_protocol(name: str) -> str:
    """Write a protocol as it is compared: without words that say nothing (`ImageRAG's rule` is imagerag)."""
    return _plain(_FILLERS.sub(" ", re.sub(r"[-_]", " ", name.lower())))


_OTHER: Final = {_plain(other): suite for other, suite in OTHER_NAMES.items()}
