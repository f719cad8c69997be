"""Keys: by which names the field calls prediction, target, category, id and image, and which of them a file uses."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval_suites.readers.loaded import Field
from eval_suites.readers.rows import Row
from vlm.errors import DataError

# Compared without case, blanks, underscores and hyphens; the first that a file has is taken.
PREDICTION = (
    "prediction", "predictions", "pred", "preds", "predicted", "predicted_answer", "pred_answer", "pred_ans",
    "model_answer", "model_output", "model_response", "model_prediction", "output", "outputs", "response", "responses",
    "generated", "generated_answer", "generated_text", "generated_caption", "completion", "raw_output", "hypothesis",
    "y_pred", "pred_text", "pred_caption", "predicted_caption", "pred_label", "predicted_label", "pred_class",
    "predicted_class", "pred_index", "pred_idx",
)  # fmt: skip
TARGET = (
    "ground_truth", "ground_truths", "gt", "gts", "gt_answer", "gt_bbox", "ground_truth_answer", "reference",
    "references", "refs", "annotation", "target", "targets", "label", "labels", "correct_answer", "true_answer",
    "solution", "sentences", "captions", "y_true", "truth", "true_label", "gt_text", "gt_caption",
    "gt_captions", "gt_label", "gt_class", "gt_index", "gt_idx",
)  # fmt: skip
# What may be either: the model's own words in one file, the annotation in another.
EITHER = ("answer", "answers", "caption", "text", "value")
CATEGORY = (
    "category", "vqa_type", "question_type", "questype", "ques_type", "type", "qtype", "task", "task_name", "task_type",
    "subtask", "ability", "l2-category", "part", "file",
)  # fmt: skip
ID = (
    "question_id", "qid", "id", "index", "idx", "sample_id", "uid", "image_id", "image", "filename", "file_name",
    "image_path", "img_id", "imgid", "image_name", "name",
)  # fmt: skip
GROUP = (
    "image", "image_id", "image_path", "image_name", "img_id", "imgid", "img", "filename", "file_name", "path",
)  # fmt: skip
QUESTION = ("question", "query", "prompt", "instruction", "text")
SPLIT = ("split", "filepath")
NUMBERED = re.compile(r"^(caption|ref|reference|sentence|sent|raw)_?(\d*)$", re.IGNORECASE)
NUMBERED_NAME = "{0}*"
# The name of a rule's field that holds the target where no other key does (GeoChat's scenes: the question's id).
LAST_TARGET = "last target"


def plain(key: str) -> str:
    """Write a key as it is compared: lower case, without blanks, underscores and hyphens."""
    return re.sub(r"[\s_\-.]+", "", key.lower())


class Keys:
    """Hold the keys that rows have, and find those that mean something; `wanted` (field -> key) comes from the user."""

    def __init__(self, rows: Sequence[Row], fields: Iterable[Field], wanted: Mapping[str, str], where: str) -> None:
        self.where = where
        self.known: dict[str, str] = {}
        for row in rows:
            for key, value in row.items():
                if value is not None:
                    self.known.setdefault(plain(key), key)
        self.own = {field.name: field.keys for field in fields}
        self.wanted = wanted
        self.numbered = self._find_numbered()

    def find(self, name: str, usual: Iterable[str], *, but: Iterable[str | None] = ()) -> str | None:
        """Give the key of a field: the user's, the rule's own, or the first usual one; none where there is no such."""
        if name in self.wanted:
            return self._insist(name, self.wanted[name])
        keys = (self.known.get(plain(key)) for key in (*self.own.get(name, ()), *usual))
        return next((key for key in keys if key is not None and key not in but), None)

    def find_pair(self) -> tuple[str, str]:
        """Give the keys of prediction and target in a file that holds both; DataError says what it has instead."""
        target = self.find("target", TARGET) or self.numbered
        sure = self.find("prediction", PREDICTION, but=(target,))
        prediction = sure or self.find("prediction", EITHER, but=(target,))
        usual = EITHER if sure else ()
        target = target or self.find("target", usual, but=(prediction,)) or self.find(LAST_TARGET, ())
        target = target or self.find("target", EITHER, but=(prediction,))
        if prediction is None or target is None:
            raise self.refuse(*(("prediction", PREDICTION) if prediction is None else ("target", TARGET)))
        return prediction, target

    def find_prediction(self) -> str:
        """Give the key of the prediction in a file of predictions alone."""
        key = self.find("prediction", (*PREDICTION, *EITHER))
        if key is None:
            raise self.refuse("prediction", PREDICTION)
        return key

    def find_target(self) -> str:
        """Give the key of the target in a file of references alone."""
        key = self.find("target", TARGET) or self.numbered or self.find("target", EITHER)
        if key is None:
            raise self.refuse("target", TARGET)
        return key

    def refuse(self, what: str, usual: Sequence[str]) -> DataError:
        """Build the sentence about a field that no key of the file gives."""
        usual = (*self.own.get(what, ()), *usual)
        other = "; or give the annotations as --references FILE" if what == "target" else ""
        return DataError(
            f"{self.where} has no key for the {what}: it has {', '.join(self.known.values()) or 'none'}; expected one "
            f"of {', '.join(usual[:8])} ... or name it with --key {what}=NAME{other}"
        )

    def _insist(self, name: str, key: str) -> str:
        if plain(key) not in self.known:
            raise DataError(
                f"--key {name}={key}: {self.where} has no key {key!r}, it has {', '.join(self.known.values())}"
            )
        return self.known[plain(key)]

    def _find_numbered(self) -> str | None:
        stems = [match[1].lower() for key in self.known.values() if (match := NUMBERED.match(key))]
        stem = next((stem for stem in stems if stems.count(stem) > 1), None)
        return None if stem is None else NUMBERED_NAME.format(stem)


def value_of(row: Row, key: str | None) -> Any:
    """Give what a row holds under a key: none for an absent one and for NaN, a list for numbered captions."""
    if key is None:
        return None
    if key.endswith("*"):
        found = sorted((int(match[2] or -1), name) for name in row if (match := NUMBERED.match(name)))
        texts = [row[name] for _, name in found if NUMBERED.match(name)[1].lower() == key[:-1]]  # type: ignore[index]
        return [text for text in texts if text] or None
    value = row.get(key)
    return None if isinstance(value, float) and math.isnan(value) else value
