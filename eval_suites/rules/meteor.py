"""METEOR 1.5 as pycocoevalcap runs it: its jar aligns each caption with its references, the score is made of the sums.

The jar (java -jar meteor-1.5.jar - - -stdio -l en -norm) answers each SCORE line with 23 sums: lengths, function words,
matches of words and function words by the four matchers (exact, stem, synonym, paraphrase), chunks, matches. Adding
them up over captions and applying the formula gives the corpus score, to the last digit what the jar's EVAL says, and
so the bootstrap can draw images. Formula and English weights: Denkowski and Lavie, Meteor Universal, 2014.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from vlm.errors import InputError

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
WEIGHTS: Final = np.array([1.0, 0.6, 0.8, 0.6])
SUMS: Final = 23
LINES_AT_ONCE: Final = 100


def align_captions(found: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Give the sums (N, 23) of each caption against its references; InputError where Java is missing or fails."""
    if shutil.which("java") is None:
        raise InputError(
            "METEOR 1.5 needs Java, and there is no `java` on the PATH: install a Java runtime (Debian: apt-get "
            "install default-jre-headless), or take the protocol coco-python, another metric under another name"
        )
    try:
        rows = list(_ask(_start(), found, references))
    except (OSError, InputError) as error:
        _start.cache_clear()
        raise InputError(f"METEOR's jar gave up: {error}; see that `java -version` works and memory is free") from error
    return np.array(rows).reshape(-1, SUMS)


@cache
def _start() -> subprocess.Popen[str]:
    """Start the jar once a process: it takes seconds to read its paraphrases."""
    import pycocoevalcap

    folder = Path(next(iter(pycocoevalcap.__path__))) / "meteor"
    command = ["java", "-jar", "-Xmx2G", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-norm"]
    jar = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    )
    atexit.register(_stop, jar)
    return jar


def _stop(jar: subprocess.Popen[str]) -> None:
    jar.kill()
    jar.communicate()


def combine_meteor(sums: np.ndarray) -> np.ndarray:
    """Give METEOR from sums (..., 23), whose chunks of perfect captions were set to 0 by `prepare_sums`."""
    length, other_length, function, other_function = np.moveaxis(sums[..., :4], -1, 0)
    matches = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 4)
    content, other_content, functional, other_functional = np.moveaxis(matches, -1, 0)
    precision = _weigh(content, functional, length - function, function)
    recall = _weigh(other_content, other_functional, other_length - other_function, other_function)
    mean = _divide(precision * recall, ALPHA * precision + (1 - ALPHA) * recall)
    fragments = _divide(sums[..., 20], (sums[..., 21] + sums[..., 22]) / 2)
    value: np.ndarray = mean * (1 - GAMMA * fragments**BETA)
    return value


def prepare_sums(sums: np.ndarray) -> np.ndarray:
    """Set the chunks of captions that match a reference from end to end in one chunk to 0: they bear no penalty."""
    perfect = (sums[:, 20] == 1) & (sums[:, 21] == sums[:, 0]) & (sums[:, 22] == sums[:, 1])
    prepared = sums.copy()
    prepared[perfect, 20] = 0
    return prepared


def _ask(
    jar: subprocess.Popen[str], found: Sequence[str], references: Sequence[Sequence[str]]
) -> Iterator[list[float]]:
    assert jar.stdin is not None
    assert jar.stdout is not None
    lines = [_line(text, others) for text, others in zip(found, references, strict=True)]
    for start in range(0, len(lines), LINES_AT_ONCE):
        asked = lines[start : start + LINES_AT_ONCE]
        jar.stdin.write("".join(asked))
        jar.stdin.flush()
        for number, line in enumerate(asked, start=start + 1):
            numbers = jar.stdout.readline().split()
            if len(numbers) != SUMS:
                raise InputError(
                    f"METEOR's jar gave {numbers[:3]} for caption {number}: expected {SUMS} sums: {line!r}"
                )
            yield [float(number) for number in numbers]


def _line(text: str, references: Sequence[str]) -> str:
    caption = text.replace("|||", "").replace("  ", " ")
    return " ||| ".join(("SCORE", *references, caption)).replace("\n", " ") + "\n"


def _weigh(content: np.ndarray, functional: np.ndarray, contents: np.ndarray, functions: np.ndarray) -> np.ndarray:
    top = (DELTA * content + (1 - DELTA) * functional) @ WEIGHTS
    return _divide(top, DELTA * contents + (1 - DELTA) * functions)


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    value: np.ndarray = np.divide(top, bottom, out=np.zeros_like(np.asarray(top, float)), where=np.asarray(bottom) > 0)
    return value
