"""Questions that a judge has the last word on: VRSBench's VQA, RSVLM-QA, CHOICE with a language model.

The deterministic score stands first and is the headline; with a judge (--judge) the judged score stands beside it,
under the judge's name. Without one, what the judge would decide counts as wrong in VRSBench's own order of steps.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from eval_suites.measure import Measure, build_mean
from eval_suites.readers.loaded import Entry, Field, Loaded, Options, text_of
from eval_suites.rules.choices import CHOICES, LABEL, QUERY, score_choice
from eval_suites.rules.judge import Judge
from eval_suites.rules.judged import NO_PREDICTION, Verdict, judge_entries, read_text, score_accuracy
from eval_suites.rules.matches import match_contain
from eval_suites.rules.rule import Number, Rule, Scores
from eval_suites.scored import Row

QUESTION = Field("question", ("question", "query", "prompt"))
PLAIN: Final = frozenset({"yes", "no", *map(str, range(100))})
MERGED: Final = {"image": "scene type", "rural or urban": "scene type"}
VRSBENCH_PROMPT: Final = (
    "Question: {question}\nGround Truth Answer: {target}\nPredicted Answer: {said}\nDoes the predicted answer match "
    "the ground truth? Answer 1 for match and 0 for not match. Use semantic meaning not exact match. Synonyms are also "
    "treated as a match, e.g., football and soccer, playground and ground track field, building and rooftop, pond and "
    "swimming pool. Do not explain the reason.\n"
)
CHOICE_PROMPT: Final = (
    "A multiple-choice question: {question}\nThe right option: {target}\nThe answer given: {said}\nIs the answer the "
    "right option in meaning? Reply True or False."
)
RSVLM_PROMPT: Final = (
    "A question about a remote-sensing image: {question}\nThe reference answer: {target}\nThe answer given: {said}\nDo "
    "they agree in meaning? Reply <judge>Correct</judge> or <judge>Wrong</judge>."
)
RSVLM_CAPTION_PROMPT: Final = (
    "A reference description of a remote-sensing image: {target}\nThe description given: {said}\nHow well does it "
    "agree with the reference, from 0 to 100? Reply <score>NUMBER</score>."
)
_TRUE = re.compile(r"\btrue\b|<judge>\s*correct\s*</judge>|^\s*1\b", re.IGNORECASE)
_SCORE = re.compile(r"<score>\s*(\d+(?:\.\d+)?)\s*</score>|^\s*(\d+(?:\.\d+)?)\s*$")


def apply_vrsbench(target: str, said: str) -> str:
    """Give VRSBench's first two steps: `1` where the target stands in the answer, `0` for a wrong yes, no or number to
    99, else `GPT` (lx709/VRSBench @d38cee11 eval_vqa_gpt.ipynb).
    """
    target, said = target.lower(), said.lower()
    if target in said:
        return "1"
    return "0" if target in PLAIN else "GPT"


def score_vrsbench(loaded: Loaded, options: Options) -> Scores:
    """Give accuracy by the rule alone and, with a judge, by all three steps, over all and by type."""
    loaded = replace(loaded, entries=tuple(_merge(entry) for entry in loaded.entries))

    def decide(text: str, entry: Entry) -> Verdict:
        step = apply_vrsbench(text_of(entry.target), text)
        why = {"1": "target in answer", "0": "target is yes, no or a number and not in answer"}.get(step, "for a judge")
        return Verdict(float(step == "1"), text.strip(), why)

    rows = judge_entries(loaded, options, decide)
    scores = score_accuracy(loaded, rows)
    asked = [row.explanation == "for a judge" for row in rows]
    return _with_judge(loaded, options, scores, asked, VRSBENCH_PROMPT)


def score_contained(loaded: Loaded, options: Options) -> Scores:
    """Give accuracy where the target stands in the answer, over all and by type."""
    loaded = replace(loaded, entries=tuple(_merge(entry) for entry in loaded.entries))
    return score_accuracy(loaded, judge_entries(loaded, options, _contained))


def score_rsvlm(loaded: Loaded, options: Options) -> Scores:
    """Give the share of targets that stand in the answer (captions: ROUGE-L) and, with a judge, its scores."""
    rows = judge_entries(loaded, options, _decide_rsvlm)
    scores = score_accuracy(loaded, rows)
    asked = [row.explanation != NO_PREDICTION for row in rows]
    captions = [_is_caption(entry) for entry in loaded.entries]
    if any(captions) and not all(captions):
        other = build_mean("excluding caption", [row.score for row in rows], where=[not one for one in captions])
        scores = replace(scores, measures=(scores.measures[0], other, *scores.measures[1:]))
    return _with_judge(loaded, options, scores, asked, RSVLM_PROMPT)


def score_choice_judge(loaded: Loaded, options: Options) -> Scores:
    """Give CHOICE's template score and, with a judge, the judge's."""
    scores = score_choice(loaded, options)
    asked = [row.explanation != NO_PREDICTION and isinstance(entry.target, str)
             for row, entry in zip(scores.rows, loaded.entries, strict=True)]  # fmt: skip
    return _with_judge(loaded, options, scores, asked, CHOICE_PROMPT, name="query")


def _with_judge(
    loaded: Loaded, options: Options, scores: Scores, asked: list[bool], prompt: str, *, name: str = "question"
) -> Scores:
    """Add what the judge says of the rows that are asked about; the other rows keep the rule's score."""
    judge = options.judge
    if judge.name == "none":
        return scores
    values, rows = [], []
    for entry, row, is_asked in zip(loaded.entries, scores.rows, asked, strict=True):
        value = _ask(judge, entry, row, read_text(entry, options) or "", prompt, name) if is_asked else row.score
        values.append(value)
        rows.append(replace(row, explanation=f"{row.explanation}; judge {value:g}") if is_asked else row)
    found: list[Measure | Number] = [build_mean(f"accuracy (judge {judge.name})", values)]
    captions = [_is_caption(entry) for entry in loaded.entries]
    if any(captions) and not all(captions):
        where = [not one for one in captions]
        found.append(build_mean(f"excluding caption (judge {judge.name})", values, where=where))
    return replace(scores, rows=tuple(rows), measures=(*scores.measures, *found))


def _ask(judge: Judge, entry: Entry, row: Row, said: str, prompt: str, name: str) -> float:
    """Ask the judge about one answer; a caption of RSVLM-QA gets a share of 100, other answers 0 or 1."""
    caption = prompt is RSVLM_PROMPT and _is_caption(entry)
    chosen = RSVLM_CAPTION_PROMPT if caption else prompt
    reply = judge.ask(chosen.format(question=text_of(entry.values.get(name)), target=row.target, said=said))
    if not caption:
        return float(bool(_TRUE.search(reply)))
    match = _SCORE.search(reply)
    return min(100.0, float(match[1] or match[2])) / 100 if match else 0.0


def _decide_rsvlm(text: str, entry: Entry) -> Verdict:
    if _is_caption(entry):
        from eval_suites.rules.sentences import rouge

        value = rouge(text_of(entry.target), text)[1].f1
        return Verdict(value, text.strip(), f"ROUGE-L {value:.3f}")
    return _contained(text, entry)


def _contained(text: str, entry: Entry) -> Verdict:
    score = match_contain(text_of(entry.target), text)
    return Verdict(score, text.strip(), "target in answer" if score else "target not in answer")


def _is_caption(entry: Entry) -> bool:
    return "caption" in entry.category.lower()


def _merge(entry: Entry) -> Entry:
    return replace(entry, category=MERGED.get(entry.category.lower(), entry.category))


RULES: Final = (
    Rule(("vrsbench-vqa",), "rule-only", "lx709/VRSBench @d38cee11 eval_vqa_gpt.ipynb: target in answer; else wrong "
         "for yes, no and numbers; else the judge, or wrong without one", "accuracy", score_vrsbench, (QUESTION,),
         aliases=("official", "official; vqa rule-only + judge hook", "vqa rule-only + judge hook", "vqa rule-only",
                  "judge", "rule-only + judge")),
    Rule(("vrsbench-vqa",), "contain", "VisionXLab/RSCoVLM @c5072823: target in answer", "accuracy", score_contained,
         aliases=("rscovlm", "vqa_contain")),
    Rule(("rsvlm-qa",), "judge", "StarZi0213/RSVLM-QA @4b74c42a scores by gpt-4.1 only; the headline is our string "
         "match (captions: ROUGE-L), the judge's share stands beside it", "accuracy", score_rsvlm, (QUESTION,),
         aliases=("official", "contain", "string match")),
    Rule(("choice",), "judge", "ShawnAn-WHU/CHOICE @eb6c4304 evaluator.py with use_llm: template rule, and the judge's "
         "True or False beside it", "accuracy", score_choice_judge,
         (LABEL, QUERY, CHOICES),
         aliases=("llm", "choice-llm"), empty=1.0,
         oddity="an empty answer stands in every option's text and is right; a missing one is wrong"),
)  # fmt: skip
