"""Zero-shot scenes: which class's description lies nearest to the image, by SkyScript's and by RS5M's descriptions.

The two differ in what is averaged: SkyScript scales each description to length 1 before their mean, RS5M does not.
Files hold embeddings (`images` and `texts`, of which `texts` is classes x descriptions x width), scores of classes, or
the class in words, which is then compared without case, blanks, underscores and hyphens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from eval_suites.measure import build_macro_mean
from eval_suites.readers.class_scores import read_class_scores
from eval_suites.readers.loaded import Entry, Loaded, Options, text_of
from eval_suites.rules.ranks import normalise
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.shape_values import payload
from eval_suites.rules.tables import mean_of
from eval_suites.rules.ties import mean_ties
from eval_suites.scored import Row

SKYSCRIPT_TEMPLATES = ("a satellite photo of {}.", "a satellite image of {}")
_NOUNS = ("a {}remote sensing image", "an {}aerial image", "a {}satellite image")
_QUALITIES = ("low resolution", "bad", "cropped", "bright", "dark", "close-up", "black and white", "jpeg corrupted",
              "blurry", "good")  # fmt: skip
_KINDS = ("large", "nice", "small", "weird", "cool")
EUROSAT_WORDS = {
    "AnnualCrop": "annual crop land",
    "Forest": "forest",
    "HerbaceousVegetation": "brushland or shrubland",
    "Highway": "highway or road",
    "Industrial": "industrial buildings or commercial buildings",
    "Pasture": "pasture land",
    "PermanentCrop": "permanent crop land",
    "Residential": "residential buildings or homes or apartments",
    "River": "river",
    "SeaLake": "lake or sea",
}


def rs5m_templates() -> tuple[str, ...]:
    """Give RS5M's 105 descriptions: CLIP's 35 frames about a remote sensing, an aerial and a satellite image."""
    out = []
    for noun in _NOUNS:
        plain = noun.format("")
        out += [f"{plain} of {words} {{}}." for words in ("many", "a", "the", "the hard to see", "a hard to see")]
        out += [
            f"a {quality} {noun.split('}', 1)[1]} of {article} {{}}."
            for quality in _QUALITIES
            for article in ("the", "a")
        ]
        out += [f"{plain} of {article} {kind} {{}}." for kind in _KINDS for article in ("the", "a")]
    return tuple(out)


def build_prompts(
    classes: Sequence[str], templates: Sequence[str], *, words: Mapping[str, str] = MappingProxyType({})
) -> list[list[str]]:
    """Write the descriptions of each class: its own words (EUROSAT_WORDS, names compared without case and blanks), or
    its name in lower case with blanks.
    """
    known = {_plain(name): text for name, text in words.items()}
    names = [known.get(_plain(name)) or re.sub(r"[_/]+", " ", name).strip().lower() for name in classes]
    return [[template.format(name) for template in templates] for name in names]


def average_descriptions(texts: np.ndarray, *, each_normalised: bool) -> np.ndarray:
    """Give one embedding a class (C, d) from those of its descriptions (C, T, d), or from one (C, d)."""
    if texts.ndim == 2:
        return normalise(texts)
    return normalise((normalise(texts) if each_normalised else np.asarray(texts, np.float32)).mean(axis=1))


def score_scenes(loaded: Loaded, options: Options, *, each_normalised: bool) -> Scores:
    """Score top-1 accuracy over all images, and its mean over the classes."""
    texts = loaded.extras.get("texts")
    classes = None if texts is None else average_descriptions(texts, each_normalised=each_normalised)
    rows, ends = [], []
    for entry in loaded.entries:
        said = None if entry.prediction is None else _answer(entry.prediction, classes, options)
        right = said is not None and _plain(said) == _plain(entry.target)
        words = "no prediction" if said is None else "the same class" if right else "another class"
        rows.append(Row(text_of(said), text_of(entry.target), float(right), words, unparsed=said in (None, "")))
        ends.append(_ends(entry, classes, right=right))
    values = [row.score for row in rows]
    wanted = [row.target for row in rows]
    tables = {
        "accuracy by class": {
            name: mean_of("accuracy", np.array(values), np.array([one == name for one in wanted]))
            for name in sorted(set(wanted))
        }
    }
    measures = (mean_of("accuracy", np.array(values)), build_macro_mean("mean class accuracy", values, wanted))
    lowest, highest = np.array(ends, float).reshape(-1, 2).T
    ties = mean_ties("accuracy", lowest, highest, rule="of classes with one score the first is the answer")
    return Scores(tuple(rows), measures, tables, (ties,))


def _ends(entry: Entry, classes: np.ndarray | None, *, right: bool) -> tuple[float, float]:
    """Give an image's score where ties of its class scores are broken against it, and for it."""
    if not isinstance(entry.prediction, np.ndarray):
        return float(right), float(right)
    scores = _class_scores(entry.prediction, classes)
    first = np.flatnonzero(scores == scores.max())
    return float(right and len(first) == 1), float(right or entry.target in first.tolist())


def _answer(prediction: Any, classes: np.ndarray | None, options: Options) -> str:
    """Give the class that a prediction names: the largest score's number, or words."""
    if not isinstance(prediction, np.ndarray):
        return text_of(payload(prediction, options)).strip().rstrip(".")
    return str(int(np.argmax(_class_scores(prediction, classes))))


def _class_scores(prediction: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    return prediction if classes is None else classes @ normalise(prediction)


def _plain(name: Any) -> str:
    return re.sub(r"[\s_\-/]+", "", text_of(name)).lower()


_scene_rule = partial(Rule, suites=("zeroshot",), headline="accuracy", reader=read_class_scores)

RULES: tuple[Rule, ...] = (
    _scene_rule(
        protocol="skyscript",
        source=(
            "wangzhecheng/SkyScript prompt_templates.py: two descriptions a class, each scaled to length 1, their mean "
            "scaled again; top-1"
        ),
        score=partial(score_scenes, each_normalised=True),
        aliases=("SkyScript 2 templates",),
    ),
    _scene_rule(
        protocol="rs5m",
        source=(
            "om-ai-lab/RS5M inference/inference_tool.py: 105 descriptions a class, their mean scaled to length 1; top-1"
        ),
        score=partial(score_scenes, each_normalised=False),
        aliases=("georsclip",),
    ),
)
