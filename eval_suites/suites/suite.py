"""A suite ready to run: what its cases are scored by, and beside which baselines the score stands."""

from __future__ import annotations

from dataclasses import dataclass

from eval_suites.baselines import Baseline
from eval_suites.scored import Scorer


@dataclass(frozen=True, slots=True)
class Suite:
    """Describe a suite: name, data in words, protocol in words, headline measure, answer length in tokens, scorer.

    `running`: the scorer is fast enough to show the score while a model is asked. `errors` are the measures of which
    less is better. `published` is the protocol's name in published tables ("" for none).
    """

    name: str
    title: str
    protocol: str
    headline: str
    max_new_tokens: int
    scorer: Scorer
    baselines: tuple[Baseline, ...]
    lower_is_better: bool = False
    running: bool = True
    published: str = ""
    probes: tuple[str, ...] = ()
