"""The rules on geometry, in the order that makes the first of a suite its default."""

from __future__ import annotations

from typing import Final

from eval_suites.rules import (
    boxes,
    change_masks,
    dota_text,
    oriented,
    refgeo,
    region_masks,
    retrieval,
    zeroshot,
)
from eval_suites.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *refgeo.RULES,
    *boxes.RULES,
    *oriented.RULES,
    *dota_text.RULES,
    *region_masks.RULES,
    *change_masks.RULES,
    *retrieval.RULES,
    *zeroshot.RULES,
)
