"""Words: the answer is right when it equals the target after lower-casing and stripping (RSVQA, RSICD's themes,
yes/no).

RSVQA's own classes for counts (LR) and areas are compared instead of the numbers where a suite says so: none, up to
10, up to 100, up to 1000, more (syvlo/RSVQA, VocabEncoder). Text in any of the three writings is read: `17`,
`11-100m2`, `between 10m2 and 100m2`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from eval_suites.cases import Case
from eval_suites.measure import build_macro_mean, build_mean
from eval_suites.scored import Row, Scored, Scorer, Training, score_rates

CLASS_TOPS = (0, 10, 100, 1000)
NUMBER = re.compile(r"(between|more than)?\s*(\d{1,15})(m2)?(\s*(-|and)\s*\d{1,15}(m2)?)?", re.ASCII)


def normalise(text: str) -> str:
    """Lower-case and strip an answer."""
    return text.strip().lower()


def number_class(text: str) -> str:
    """Give the class `0` to `4` of a count or an area in any writing; text that holds none stays as it is."""
    match = NUMBER.fullmatch(text)
    if match is None:
        return text
    lowest = int(match[2]) + (1 if match[1] else 0)
    return str(sum(lowest > top for top in CLASS_TOPS))


def build_word_scorer(*, classed: frozenset[str] = frozenset()) -> Scorer:
    """Build the scorer of exact words; categories in `classed` are compared by `number_class`."""
    return partial(score_words, classed=classed)


def score_words(
    cases: Sequence[Case],
    outputs: Sequence[str | None],
    *,
    training: Training,
    dialect: str = "nadir",
    classed: frozenset[str] = frozenset(),
) -> Scored:
    """Give accuracy over all, its mean over categories, and per category; unknown answers count as unparsed."""
    del dialect
    targets = {normalise(answer) for case in cases for answer in case.answers}
    known = {category: targets | set(map(normalise, answers)) for category, answers in training.items()}
    rows = tuple(
        _judge(case, output or "", known.get(case.category, targets), classed=case.category in classed)
        for case, output in zip(cases, outputs, strict=True)
    )
    right = [row.score for row in rows]
    categories = [case.category for case in cases]
    measures = [build_mean("accuracy", right)]
    if len(set(categories)) > 1:
        measures.append(build_macro_mean("mean of categories", right, categories))
        measures += [
            build_mean(f"accuracy: {name}", right, where=[category == name for category in categories])
            for name in sorted(set(categories))
        ]
    return Scored(rows, (*measures, *score_rates(rows)))


def _judge(case: Case, output: str, known: set[str], *, classed: bool) -> Row:
    said, wanted = normalise(output), [normalise(answer) for answer in case.answers]
    unparsed = said not in known and not (classed and NUMBER.fullmatch(said))
    if case.category == "count":
        unparsed = not said.isdigit()
    if classed:
        said, wanted = number_class(said), [number_class(answer) for answer in wanted]
    right = bool(said) and said in wanted
    return Row(said, " | ".join(wanted), float(right), "equal" if right else "not equal", unparsed)
