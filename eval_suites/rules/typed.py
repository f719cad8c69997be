"""Questions of several types: RSVQA and GeoChat-Bench (presence, comparison, rural or urban, count, area), CDVQA, QAG.

OA is the mean over all questions, AA the mean over types. Papers on vision-language models leave count and area out of
RSVQA; RSVQA itself compares them in classes (bounds inclusive at the top; LR ranges counts, HR keeps them raw).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from eval_suites.measure import build_macro_mean, build_mean
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules.judged import Verdict, build_fixed_macro, judge_entries, tabulate
from eval_suites.rules.matches import (
    EMPTY_IS_RIGHT,
    Match,
    decide_match,
    match_contain,
    match_earthdial,
    match_exact,
    match_vhm,
    targets_of,
)
from eval_suites.rules.rule import Rule, Scores
from eval_suites.scored import score_rates

NUMBERS: Final = frozenset({"count", "area", "counting"})
WITHOUT: Final = "OA without count and area"
CLASS_TOPS: Final = (10, 100, 1000)
AMOUNT = re.compile(r"(\d+)(m2)?", re.ASCII)
VISTA_TYPES: Final = (
    "change_or_not", "increase_or_not", "decrease_or_not", "smallest_change", "largest_change", "change_to_what",
    "change_from_what", "change_ratio",
)  # fmt: skip
VISTA_EPSILON = 1e-4
Decide = Callable[[str, Entry], Verdict]


def name_class(answer: str, *, ranged_counts: bool) -> str:
    """Give RSVQA's class of an answer (syvlo/RSVQA @3c445ff0 VocabEncoder): a number in its range, words as they are.

    Areas (`17m2`) are always ranged, counts only where `ranged_counts` (LR).
    """
    match = AMOUNT.fullmatch(answer)
    if match is None or not (match[2] or ranged_counts) or int(match[1]) == 0:
        return answer
    unit, amount = match[2] or "", int(match[1])
    bottom = 0
    for top in CLASS_TOPS:
        if amount <= top:
            return f"between {bottom}{unit} and {top}{unit}"
        bottom = top
    return f"more than {CLASS_TOPS[-1]}{unit}"


def score_types(loaded: Loaded, options: Options, *, decide: Decide) -> Scores:
    """Give OA and AA with and without counts and areas, and accuracy by type."""
    rows = judge_entries(loaded, options, decide)
    values, types = [row.score for row in rows], [entry.category for entry in loaded.entries]
    words = sorted({name for name in types if name not in NUMBERS})
    measures = (
        build_mean(WITHOUT, values, where=[name in words for name in types] if words else None),
        build_fixed_macro("AA without count and area", values, types, words or sorted(set(types))),
        build_mean("OA", values),
        build_macro_mean("AA", values, types),
    )
    return Scores(rows, (*measures, *score_rates(rows)), {"accuracy by type": tabulate(values, types)})


def score_changes(loaded: Loaded, options: Options, *, vista: bool) -> Scores:
    """Give OA and AA over the types of change questions; `vista` merges the ratios and divides by its eight types."""
    rows = judge_entries(loaded, options, decide_match(match_exact))
    values, types = [row.score for row in rows], [entry.category for entry in loaded.entries]
    if vista:
        types = ["change_ratio" if name == "change_ratio_types" else name for name in types]
        average = build_fixed_macro("AA", values, types, VISTA_TYPES, epsilon=VISTA_EPSILON)
    else:
        average = build_macro_mean("AA", values, types)
    measures = (build_mean("OA", values), average, *score_rates(rows))
    return Scores(rows, measures, {"accuracy by type": tabulate(values, types)})


def _decide_classes(text: str, entry: Entry, *, ranged_counts: bool) -> Verdict:
    said = name_class(text.strip().lower(), ranged_counts=ranged_counts)
    wanted = [name_class(target.strip().lower(), ranged_counts=ranged_counts) for target in targets_of(entry)]
    right = bool(said) and said in wanted
    return Verdict(float(right), said, f"class {said!r} {'is' if right else 'is not'} {' or '.join(wanted)!r}")


def _rule(suites: tuple[str, ...], protocol: str, source: str, decide: Decide, aliases: tuple[str, ...] = ()) -> Rule:
    return Rule(suites, protocol, source, WITHOUT, partial(score_types, decide=decide), aliases=aliases)


def _match_rule(protocol: str, match: Match, source: str, aliases: tuple[str, ...] = ()) -> Rule:
    return _rule(RSVQA, protocol, source, decide_match(match), aliases)


RSVQA: Final = ("rsvqa", "rsvqa-lr", "rsvqa-hr")
CHANGE: Final = ("cdvqa", "qag")
_CLASSES = "syvlo/RSVQA @3c445ff0: equal classes; ranges 0, 10, 100, 1000 for areas"

RULES: Final = (
    _match_rule("exact", match_exact, "equal after strip and lower-casing, per type; mbzuai-oryx/GeoChat has no scorer",
                ("exact per type", "exact match", "geochat", "plain", "nospace equality / exact per type")),
    _rule(("rsvqa", "rsvqa-lr"), "quantised", f"{_CLASSES} and counts", partial(_decide_classes, ranged_counts=True),
          ("quantisation", "quantized", "classes", "rsvqa")),
    _rule(("rsvqa-hr",), "quantised", f"{_CLASSES}, counts raw", partial(_decide_classes, ranged_counts=False),
          ("quantisation", "quantized", "classes", "rsvqa")),
    _match_rule("earthdial", match_earthdial, "hiyamdebary/EarthDial @92c12607 rs_vqa/eval.py: share of target tokens"),
    _match_rule("contain", match_contain, "VisionXLab/RSCoVLM @c5072823: target in answer", ("rscovlm",)),
    Rule(RSVQA, "vhm", "fitzpchao/RSEvalKit @5516fcdf: answer in target", WITHOUT,
         partial(score_types, decide=decide_match(match_vhm)), empty=1.0, oddity=EMPTY_IS_RIGHT),
    Rule(CHANGE, "oa-aa", "YZHJessica/CDVQA @cc589312: exact match; AA over the types that are there", "OA",
         partial(score_changes, vista=False), aliases=("oa+aa", "oa + aa", "exact", "plain")),
    Rule(CHANGE, "vista", "like413/VisTA @e99b5595 test.py: ratio types merged, AA = sum(right/(n+1e-4))/8", "OA",
         partial(score_changes, vista=True), aliases=("vista aa/8", "aa/8")),
)  # fmt: skip
