"""Matching words: the eight rules by which repositories call a short answer right, and the suites that use them.

exact            equal after strip and lower-casing (what RSVQA's users do)
earthdial        share of the target's tokens that the answer holds, blanks removed first: nearly exact match
nospace          GeoChat, scenes: equal without the answer's blanks and dots; the target keeps its blanks
contain          RSCoVLM: the target stands anywhere in the answer ("no" in "unknown")
vhm              RSEvalKit: the answer stands in the target; an empty answer is right
teochat          equal without punctuation, not stripped
rsthinker-vqa    contain, or the target's digit as a word
rsthinker-scene  contain, without blanks, _ and -
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import partial
from typing import Final

from eval_suites.readers.keys import LAST_TARGET
from eval_suites.readers.loaded import Entry, Field, Loaded, Options, text_of
from eval_suites.rules.judged import Verdict, judge_entries, score_accuracy
from eval_suites.rules.rule import Rule, Scores

Match = Callable[[str, str], float]
NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
DIGITS: Final = {str(number): word for number, word in enumerate(NUMBER_WORDS)}
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def match_exact(target: str, said: str) -> float:
    """Compare after stripping and lower-casing."""
    return float(bool(said.strip()) and target.strip().lower() == said.strip().lower())


def match_earthdial(target: str, said: str) -> float:
    """Give the share of the target's tokens that the answer holds (EarthDial rs_vqa, rs_classification eval.py)."""
    wanted = _tokens(target)
    common = set(wanted) & set(_tokens(said))
    return len(common) / len(wanted) if common else 0.0


def match_nospace(target: str, said: str) -> float:
    """Compare without the answer's blanks and dots (GeoChat batch_geochat_scene.py)."""
    return float(target.lower() == said.replace(" ", "").lower().replace(".", ""))


def match_contain(target: str, said: str) -> float:
    """Find the target in the answer (RSCoVLM metric.py)."""
    return float(target.lower() in said.lower())


def match_vhm(target: str, said: str) -> float:
    """Find the answer in the target, both without blanks (RSEvalKit model_eval_mp.py)."""
    return float(said.replace(" ", "").lower() in target.replace(" ", "").lower())


def match_teochat(target: str, said: str) -> float:
    """Compare without punctuation (TEOChat classification.py)."""
    return float(target.lower().translate(_PUNCTUATION) == said.lower().translate(_PUNCTUATION))


def match_rsthinker_vqa(target: str, said: str) -> float:
    """Find the target, or its digit as a word, in the answer (RSThinker RS_Tester/metrics.py)."""
    target, said = target.lower(), said.lower()
    return float(target in said or (target in DIGITS and DIGITS[target] in said))


def match_rsthinker_scene(target: str, said: str) -> float:
    """Find the target in the answer, both without blanks, _ and - (RSThinker RS_Tester/metrics.py)."""
    target, said = (text.lower().replace("_", "").replace("-", "").replace(" ", "") for text in (target, said))
    return float(target in said)


MATCHES: Final[dict[str, tuple[Match, str]]] = {
    "exact": (match_exact, "equal after strip and lower-casing"),
    "earthdial": (match_earthdial, "hiyamdebary/EarthDial @92c12607 eval.py: share of the target's tokens found"),
    "nospace": (match_nospace, "mbzuai-oryx/GeoChat @4850920e batch_geochat_scene.py: equal without blanks and dots"),
    "contain": (match_contain, "VisionXLab/RSCoVLM @c5072823: target in answer"),
    "vhm": (match_vhm, "fitzpchao/RSEvalKit @5516fcdf: answer in target, blanks removed"),
    "teochat": (match_teochat, "ermongroup/TEOChat @2ed73873: equal without punctuation"),
    "rsthinker-vqa": (match_rsthinker_vqa, "minglangL/RSThinker @ea91280e: target or its number word in answer"),
    "rsthinker-scene": (match_rsthinker_scene, "minglangL/RSThinker @ea91280e: target in answer, without blanks _ -"),
}
EMPTY_IS_RIGHT = "an empty answer stands in every target and is right; a missing one is wrong"


def decide_match(match: Match) -> Callable[[str, Entry], Verdict]:
    """Build the verdict of a match: the best over the accepted targets."""

    def decide(text: str, entry: Entry) -> Verdict:
        score = max(match(target, text) for target in targets_of(entry))
        return Verdict(score, text.strip(), "match" if score == 1 else "no match" if score == 0 else f"{score:.2f}")

    return decide


def targets_of(entry: Entry) -> list[str]:
    """Give the accepted answers of an entry as text."""
    found = entry.target if isinstance(entry.target, list | tuple) and entry.target else [entry.target]
    return [text_of(target) for target in found]


def score_matches(loaded: Loaded, options: Options, *, match: Match, by: str = "type") -> Scores:
    """Score every entry by one match."""
    return score_accuracy(loaded, judge_entries(loaded, options, decide_match(match)), by=by)


def score_scenes(loaded: Loaded, options: Options, *, match: Match) -> Scores:
    """Score scenes by one match; the class of an entry is its target."""
    classed = tuple(
        Entry(entry.id, entry.group, entry.prediction, _scene(entry.target), text_of(_scene(entry.target)).lower())
        for entry in loaded.entries
    )
    loaded = Loaded(classed, loaded.keys, loaded.unpaired, loaded.extras)
    return score_accuracy(
        loaded, judge_entries(loaded, options, decide_match(match)), by="class", macro="mean of classes"
    )


def build_match_rule(name: str, suites: tuple[str, ...], **more: object) -> Rule:
    """Build the rule of a match for suites of short answers."""
    match, source = MATCHES[name]
    kept = {"aliases": ALIASES.get(name, ()), "score": partial(score_matches, match=match)} | more
    odd = {"empty": 1.0, "oddity": EMPTY_IS_RIGHT} if name == "vhm" else {}
    return Rule(suites=suites, protocol=name, source=source, headline="accuracy", **kept, **odd)  # type: ignore[arg-type]


def _scene(target: object) -> object:
    """Give the class in GeoChat-Bench's question_id (`Airport/airport_1.jpg`), any other target as it is."""
    return target.split("/")[0] if isinstance(target, str) and "/" in target else target


def _tokens(text: str) -> tuple[str, ...]:
    """Tokenise as nltk's word_tokenize does, blanks removed."""
    from eval_suites.rules.sentences import tokenize_words

    return tokenize_words(text.strip().lower().replace(" ", ""))


ALIASES: Final = {
    "nospace": ("nospace equality", "geochat", "official", "equality", "nospace equality / exact per type"),
    "contain": ("rscovlm", "gt in output"),
    "vhm": ("rsevalkit", "pred in gt"),
    "exact": ("exact match", "plain"),
}
# GeoChat-Bench's own files have no target: the class is the folder in the question_id.
SCENE_FIELDS = (Field(LAST_TARGET, ("question_id",)),)

RULES: Final = (
    *(
        build_match_rule(name, ("geochat-scene",), score=partial(score_scenes, match=MATCHES[name][0]),
                         fields=SCENE_FIELDS)
        for name in ("nospace", "contain", "earthdial", "vhm", "rsthinker-scene", "exact")
    ),
    Rule(("rsrag-cls",), "exact", "CongcongWen1208/RS-RAG @8a93ba26 evaluation_classification.py: equal after strip "
         "and lower-casing", "accuracy", partial(score_scenes, match=match_exact), aliases=("official", "rsrag")),
    *(build_match_rule(name, ("text-match",)) for name in MATCHES),
)  # fmt: skip
