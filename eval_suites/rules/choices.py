"""Multiple choice: XLRS-Bench, MME-RealWorld's remote sensing, CHOICE, GEOBench-VLM."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from eval_suites.measure import Measure, build_macro_mean, build_mean
from eval_suites.readers.loaded import Entry, Field, Loaded, Options, text_of
from eval_suites.readers.pair import read_pairs
from eval_suites.rules.choice_box import decide_box, parse_polygon
from eval_suites.rules.judged import Verdict, build_fixed_macro, judge_entries, score_accuracy, tabulate
from eval_suites.rules.letters import (
    read_choice,
    read_imagerag,
    read_intersection,
    read_letter,
    read_mme,
    read_mme_lmms,
    read_xlrs,
)
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.rules.ties import letter_ties
from eval_suites.scored import score_rates

XLRS_TASKS: Final = (
    "Complex reasoning/Anomaly Detection and Interpretation",
    "Complex reasoning/Environmental condition reasoning",
    "Complex reasoning/Route planning",
    "Counting/Counting with changing detection",
    "Counting/Counting with complex reasoning",
    "Counting/Overall counting",
    "Counting/Regional counting",
    "Land use classification/Overall Land use classification",
    "Land use classification/Regional Land use classification",
    "Object properties/Object classification",
    "Object properties/Object color",
    "Object properties/Object motion state",
    "Object spatial relationship/Object spatial relationship",
)
LETTERS: Final = "ABCD"
SEVERAL: Final = "Land use classification/Overall Land use classification"
REMOTE_SENSING: Final = "remote sensing"
CHOICES = Field("choices", ("Answer choices", "multi-choice options", "options_list", "choices", "options"))
SUBTASK = Field("subtask", ("Subtask",))
MME_CATEGORY = Field("category", ("l2-category", "Category"))
QUERY = Field("query", ("query", "question", "prompt", "text"))
LABEL = Field("target", ("label", "polygon", "gt_polygon", "poly", "gt_poly", "coords_gt"))
Decide = Callable[[str, Entry], Verdict]


def score_xlrs(loaded: Loaded, options: Options, *, decide: Decide, tie: str) -> Scores:
    """Give the micro mean, the macro mean over the 13 tasks (one without rows counts as 0), and a table of tasks."""
    rows = judge_entries(loaded, options, decide)
    values, tasks = [row.score for row in rows], [entry.category for entry in loaded.entries]
    measures = (
        build_mean("micro", values),
        build_fixed_macro("macro", values, tasks, XLRS_TASKS),
        build_macro_mean("macro over present tasks", values, tasks),
        *score_rates(rows),
    )
    ties = (letter_ties("micro", loaded, rows, options, rule=tie),)
    return Scores(rows, measures, {"accuracy by task": tabulate(values, tasks)}, ties)


def decide_equal_sets(text: str, entry: Entry) -> Verdict:
    """Call an answer right whose letters are the target's, no more and no fewer (lmms-eval)."""
    return _verdict(read_xlrs(text), entry, equal=True)


def decide_intersection(text: str, entry: Entry) -> Verdict:
    """Call an answer right that shares a letter with the target; several right options ask for equality."""
    said = read_intersection(text)
    return _verdict(said, entry, equal=entry.category.startswith(SEVERAL))


def decide_official(text: str, entry: Entry) -> Verdict:
    """Compare MME-RealWorld's letter with the target as it is: a list of letters equals none."""
    return _exact(read_mme(text, _choices(entry)), entry.target)


def decide_imagerag(text: str, entry: Entry) -> Verdict:
    """Compare ImageRAG's letter with the target as it is."""
    return _exact(read_imagerag(text, _choices(entry)), entry.target)


def decide_lmms(text: str, entry: Entry) -> Verdict:
    """Compare lmms-eval's letter with the target, or with the first of a list."""
    target = entry.target[0] if isinstance(entry.target, list) and entry.target else entry.target
    return _exact(read_mme_lmms(text).lower(), text_of(target).lower())


def decide_contained(text: str, entry: Entry) -> Verdict:
    """Find the target's letter anywhere in the answer (RSCoVLM)."""
    right = text_of(entry.target).lower() in text.lower()
    return Verdict(float(right), text.strip(), "letter in answer" if right else "letter not in answer")


def decide_letter(text: str, entry: Entry) -> Verdict:
    """Compare the letter that an answer starts with, or that stands alone in it, with the target's (`B.` is B)."""
    return _exact(read_letter(text), read_letter(text_of(entry.target)))


def score_geobench(loaded: Loaded, options: Options) -> Scores:
    """Give the mean over all pairs of question and paraphrase; a list of predictions holds one per paraphrase."""
    pairs = tuple(
        replace(entry, prediction=said) for entry in loaded.entries for said in _paraphrases(entry.prediction)
    )
    asked = replace(loaded, entries=pairs)
    judged = judge_entries(asked, options, decide_letter)
    ties = (letter_ties("accuracy", asked, judged, options, rule=_STARTS),)
    remaining = iter(judged)
    counts = [len(_paraphrases(entry.prediction)) for entry in loaded.entries]
    groups = [[next(remaining) for _ in range(count)] for count in counts]
    rows = [replace(group[0], score=sum(row.score for row in group) / len(group)) for group in groups]
    scores = replace(score_accuracy(loaded, rows, by="task", macro="mean of tasks"), ties=ties)
    if max(counts) == 1:
        return scores
    total = [sum(row.score for row in group) for group in groups]
    weighted = Measure("accuracy", _columns(total, counts), scores.measures[0].combine)  # type: ignore[union-attr]
    return replace(scores, measures=(weighted, *scores.measures[1:]))


def _paraphrases(prediction: Any) -> list[Any]:
    return prediction if isinstance(prediction, list) and prediction else [prediction]


def score_choice(loaded: Loaded, options: Options) -> Scores:
    """Score letters by CHOICE's template rule and, where the target is a polygon, boxes by overlap > 0.5."""
    rows = judge_entries(loaded, options, _decide_choice)
    ties = (letter_ties("accuracy", loaded, rows, options, rule=_CUES),)
    scores = replace(score_accuracy(loaded, rows, by="task", macro="mean of tasks"), ties=ties)
    grounded = [parse_polygon(entry.target) is not None for entry in loaded.entries]
    if not any(grounded):
        return scores
    found: list[Measure | Number] = [build_mean("visual grounding Acc@.5", [row.score for row in rows], where=grounded)]
    if not all(grounded):
        found.append(build_mean("letters", [row.score for row in rows], where=[not one for one in grounded]))
    return replace(scores, measures=(*scores.measures, *found))


def read_remote_sensing(
    predictions: Path, references: Path | None, fields: tuple[Field, ...], options: Options
) -> Loaded:
    """Read rows as always; of a file with several subtasks only Remote Sensing is kept, and categories as MME names."""
    loaded = read_pairs(predictions, references, fields, options)
    subtasks = [text_of(entry.values.get("subtask")).replace("_", " ").lower() for entry in loaded.entries]
    kept = tuple(
        replace(entry, category=_mme_category(entry.category))
        for entry, subtask in zip(loaded.entries, subtasks, strict=True)
        if subtask in ("", REMOTE_SENSING)
    )
    left = len(loaded.entries) - len(kept)
    note = (f"{left} rows of other subtasks than Remote Sensing: left out",) if left else ()
    return replace(loaded, entries=kept, unpaired=(*loaded.unpaired, *note))


def _mme_category(category: str) -> str:
    category = category.lower().split("/")[-1] if "attribute" not in category.lower() else category.lower()
    return f"{category.split('/')[0]}/attribute" if "attribute" in category else category


def _verdict(said: str, entry: Entry, *, equal: bool) -> Verdict:
    mine, wanted = set(said), set(text_of(entry.target).upper()) & set("ABCDE")
    right = mine == wanted if equal else bool(mine & wanted)
    why = f"letters {said or 'none'}: expected {'exactly' if equal else 'one of'} {''.join(sorted(wanted))}"
    return Verdict(float(right), said, why, not said)


def _exact(said: str, target: Any) -> Verdict:
    right = said == target and bool(said)
    return Verdict(float(right), said, f"letter {said or 'none'}: expected {target}", not said)


def _choices(entry: Entry) -> Sequence[str]:
    choices = entry.values.get("choices")
    return [str(choice) for choice in choices] if isinstance(choices, list) else ()


def _columns(top: Sequence[float], bottom: Sequence[float]) -> Any:
    import numpy as np

    return np.stack((np.asarray(top, float), np.asarray(bottom, float)), axis=1)


def _decide_choice(text: str, entry: Entry) -> Verdict:
    polygon = parse_polygon(entry.target)
    if polygon is not None:
        return decide_box(text, polygon)
    label, _, written = text_of(entry.target).partition(".")
    label = label.strip()
    option = written.strip() or _option_text(text_of(entry.values.get("query")), label, entry.values.get("choices"))
    said = read_choice(text, label, option)
    return Verdict(float(said == label), said or "", f"letter {said or 'none'}: expected {label}", said is None)


def _option_text(query: str, label: str, choices: Any) -> str:
    """Give the text of an option: of a dict or list of choices, else from the query's line `B. text`."""
    if isinstance(choices, dict):
        return text_of(choices.get(label))
    if isinstance(choices, list) and label in LETTERS[: len(choices)]:
        return re.sub(rf"^\(?{label}[.):]\s*", "", text_of(choices[LETTERS.index(label)])).strip()
    match = re.search(rf"\n{re.escape(label)}\.(.*?)(?=\n[ABCD]\.|\Z)", query, re.DOTALL)
    return match[1].strip() if match else ""


_EQUAL = "of several letters none counts, where one is right"
_SHARED = "of several letters the right one is enough, where one is right"
_FIRST = "of several letters the first one counts"
_ANYWHERE = "of several letters the right one is enough"
_STARTS = "of several letters that one counts with which the answer starts, else the first that stands alone"
_CUES = "of several letters the first behind a word such as `answer` counts, else the right one's own text decides"
_MME_ODDITY = "an empty answer is read as A, the letter of the first choice; a missing one is wrong"


def _mme_rule(protocol: str, source: str, decide: Decide, *aliases: str, odd: bool = True, tie: str = _FIRST) -> Rule:
    score = partial(_score_mme, decide=decide, tie=tie)
    return Rule(("mme-rs",), protocol, source, "micro", score, (CHOICES, SUBTASK, MME_CATEGORY),
                read_remote_sensing, aliases, oddity=_MME_ODDITY if odd else "")  # fmt: skip


def _score_mme(loaded: Loaded, options: Options, *, decide: Decide, tie: str) -> Scores:
    rows = judge_entries(loaded, options, decide)
    scores = score_accuracy(loaded, rows, by="category", name="micro", macro="mean of categories")
    tables = {title.replace("micro", "accuracy"): table for title, table in scores.tables.items()}
    return replace(scores, tables=tables, ties=(letter_ties("micro", loaded, rows, options, rule=tie),))


RULES: Final = (
    Rule(("xlrs",), "lmms", "EvolvingLMMs-Lab/lmms-eval @75571cfe tasks/xlrs: equal sets of letters; macro "
         "over 13 tasks", "micro", partial(score_xlrs, decide=decide_equal_sets, tie=_EQUAL),
         aliases=("lmms set-equality", "set-equality", "lmms-eval", "exact", "lmms set-equality, micro+macro")),
    Rule(("xlrs",), "intersection", "DeepEyes/GeoEyes family: a letter in common, equality for several "
         "right options; their judge for these is not asked", "micro",
         partial(score_xlrs, decide=decide_intersection, tie=_SHARED),
         aliases=("xlrs-intersection", "intersection+judge", "set-intersection", "geoeyes", "tbv")),
    _mme_rule("official", "yfzhang114/MME-RealWorld @87096fcf eval_your_results.py: first capital A to E, else the "
              "choice that holds the text", decide_official, "official letter rule", "letter", "mme"),
    _mme_rule("lmms", "EvolvingLMMs-Lab/lmms-eval @75571cfe tasks/mme_realworld: the same with bare choices",
              decide_lmms, "lmms-eval"),
    _mme_rule("imagerag", "om-ai-lab/ImageRAG @260900a8 eval_your_results.py: the official rule behind the last prefix",
              decide_imagerag),
    _mme_rule("contain", "VisionXLab/RSCoVLM @c5072823: the target's letter anywhere in the answer", decide_contained,
              "rscovlm", "gt in output", odd=False, tie=_ANYWHERE),
    Rule(("choice",), "template", "ShawnAn-WHU/CHOICE @eb6c4304 evaluator.py: letter by template, else text of the "
         "option; grounding IoU > 0.5 of box and polygon", "accuracy", score_choice, (LABEL, QUERY, CHOICES),
         aliases=("template rule", "official", "choice", "grounding", "polygon grounding"), empty=1.0,
         oddity="an empty answer stands in every option's text and is right; a missing one is wrong"),
    Rule(("geobench",), "letter", "The-AI-Alliance/GEO-Bench-VLM saves predictions only: letter match "
         "over all pairs of question and paraphrase", "accuracy", score_geobench,
         (Field("target", ("ground_truth_option", "answer_option")),), aliases=("official", "letter match")),
)  # fmt: skip
