"""Nadir as a model of lmms-eval: `lmms-eval --model nadir --model_args pretrained=out/mine --tasks mme_realworld`.

lmms-eval (https://github.com/EvolvingLMMs-Lab/lmms-eval, 0.7 or newer) finds it by this package's entry point in
`lmms_eval.models`. A task's pictures come in memory and are asked as files of a folder that lasts as long as their
batch. Answers are greedy, whatever temperature a task names. What cannot be asked (a video, an audio, more pictures
than the model takes) is an empty answer, and how many there were is said at the end.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from PIL.Image import Image as Picture

from eval_suites.progress import Progress
from vlm.answer import Nadir, Request
from vlm.errors import InputError, NadirError

LOG = logging.getLogger("nadir.eval")
PLACEHOLDER: Final = "<image>"
"""What tasks write where a picture belongs; Nadir reads pictures before the words."""
USUAL_TOKENS: Final = 256


class NadirLmms(lmms):
    """Answer lmms-eval's requests with a Nadir checkpoint."""

    is_simple = True

    def __init__(
        self,
        pretrained: str | None = None,
        *,
        device: str | None = None,
        dtype: str = "float32",
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        budget: int | str | None = None,
    ) -> None:
        """Load a checkpoint directory or hub id (the built-in one by default); `budget` is visual tokens a question.

        Raises CheckpointError where there is no checkpoint, InputError for a batch size that is no number above 0.
        """
        super().__init__()
        del max_batch_size
        self.batch_size = _read_count("batch_size", batch_size)
        self._budget = None if budget is None else _read_count("budget", budget)
        self.device = torch.device(device or _usual_device())
        self._nadir = Nadir.from_pretrained(_find_folder(pretrained), dtype=dtype, device=str(self.device))

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Give the text of each request's answer, cut off at the first of its stop strings; "" where none can be."""
        answers: list[str] = []
        refusals: list[NadirError] = []
        with Progress() as progress:
            for start in range(0, len(requests), self.batch_size):
                batch = requests[start : start + self.batch_size]
                for one, said in zip(batch, self._answer(batch), strict=True):
                    refusals += [said] if isinstance(said, NadirError) else []
                    text = "" if isinstance(said, NadirError) else cut_off(said, one.args[1].get("until"))
                    self.cache_hook.add_partial("generate_until", one.args[:2], text)
                    answers.append(text)
                progress.step("lmms-eval", len(answers), len(requests))
        if refusals:
            words = "%d of %d questions could not be asked and count as empty answers, the first one: %s"
            LOG.warning(words, len(refusals), len(requests), refusals[0])
        return answers

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Raise InputError: Nadir writes answers and gives texts no probabilities."""
        raise InputError(_refusal(requests, "the probability of given answers"))

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Raise InputError: only tasks of one round are asked."""
        raise InputError(_refusal(requests, "several rounds"))

    def _answer(self, batch: Sequence[Any]) -> list[str | NadirError]:
        """Give the text of each answer, or why a question could not be asked."""
        with TemporaryDirectory(prefix="nadir-") as folder:
            made = [self._request(one, Path(folder) / str(place)) for place, one in enumerate(batch)]
            said = iter(self._ask([one for one in made if isinstance(one, Request)]))
            return [next(said) if isinstance(one, Request) else one for one in made]

    def _request(self, asked: Any, folder: Path) -> Request | NadirError:
        """Build the request of a task's question, its pictures written into a folder."""
        context, given, doc_to_visual, number, task, split = asked.args
        shown = doc_to_visual(self.task_dict[task][split][number]) or []
        try:
            images = tuple(write_visual(visual, folder / f"{place}.tif") for place, visual in enumerate(shown))
        except NadirError as error:
            return error
        tokens = int(given.get("max_new_tokens") or USUAL_TOKENS)
        words = context.replace(PLACEHOLDER, "").strip()
        return Request(words, images, budget=self._budget, max_new_tokens=tokens)

    def _ask(self, asked: Sequence[Request]) -> list[str | NadirError]:
        """Ask a batch, or one by one where the batch is refused, so that one bad question spoils no other."""
        try:
            return [answer.text for answer in self._nadir.ask_batch(asked)]
        except NadirError as error:
            return [error] if len(asked) == 1 else [said for one in asked for said in self._ask([one])]


def describe_model() -> ModelManifest:
    """Say to lmms-eval where its model `nadir` is."""
    return ModelManifest(model_id="nadir", simple_class_path=f"{__name__}.{NadirLmms.__name__}")


def write_visual(visual: Any, path: Path) -> Path:
    """Give a task's picture as a file: written to `path`, or the file it names; InputError for anything else."""
    if isinstance(visual, Picture):
        path.parent.mkdir(parents=True, exist_ok=True)
        visual.convert("RGB").save(path, "TIFF")
        return path
    if isinstance(visual, str | Path):
        return Path(visual)
    raise InputError(f"the task shows {type(visual).__name__}, and Nadir looks at pictures alone: take another task")


def cut_off(text: str, until: str | Sequence[str] | None) -> str:
    """Cut a text off at the first stop string that it holds."""
    stops = [until] if isinstance(until, str) else until or ()
    ends = [text.find(stop) for stop in stops if stop and stop in text]
    return text[: min(ends)] if ends else text


def _usual_device() -> str:
    """Give this process's own GPU, or the CPU where there is none."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def _find_folder(pretrained: str | None) -> Path | None:
    from eval_suites.models.checkpoint import fetch_checkpoint

    if not pretrained:
        return None
    return Path(pretrained) if Path(pretrained).exists() else fetch_checkpoint(pretrained)


def _read_count(name: str, value: int | str) -> int:
    if not str(value).isdigit() or int(value) < 1:
        raise InputError(f"{name} is {value!r}: expected a whole number above 0, as in --{name} 8")
    return int(value)


def _refusal(requests: Sequence[Any], what: str) -> str:
    tasks = ", ".join(sorted({str(one.task_name) for one in requests}))
    return f"lmms-eval's task {tasks} asks for {what}: Nadir answers tasks of output_type generate_until alone"
