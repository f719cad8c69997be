"""What vLLM answers over HTTP is what transformers' generate answers, token by token in float32, all caches on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.serve.vllm_plugin.asking import (
    Case,
    ask_served,
    ask_transformers,
    assert_same,
    differ,
    one,
    picture,
    post,
)
from vlm.answer import Nadir
from vlm.codecs import parse_text
from vlm.codecs.grammar import answer_pattern

CASES = {
    "one image": one("Where is the red car?", picture(30, 30, 1)),
    "a wide image": one("How many ships are there?", picture(200, 60, 2)),
    "two dates": one("What has changed?", picture(90, 70, 3), picture(90, 70, 4)),
    "four dates": one("What has changed?", *(picture(40, 40, seed) for seed in (5, 6, 7, 8))),
    "three sizes": one("Where is the red car?", picture(30, 30, 9), picture(90, 40, 10), picture(64, 64, 11)),
    "a large image": one("How many ships are there?", picture(2000, 2000, 12)),
    "no image": one("How many ships are there?"),
    "two turns": Case((("Where is the red car?", (picture(90, 70, 13),)), ("How many ships are there?", ()))),
    "an image a turn": Case(
        (("Where is the red car?", (picture(90, 70, 13),)), ("What has changed?", (picture(90, 70, 14),)))
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_tokens_are_those_of_transformers(name: str, http: httpx2.Client, nadir: Nadir) -> None:
    assert_same(ask_served(http, CASES[name]), ask_transformers(nadir.model, nadir.processor, CASES[name]))


QUESTIONS = ("Where is the red car?", "How many ships are there?", "Describe the image in one sentence.")


@pytest.mark.parametrize("images", [1, 2])
def test_several_instructions_about_one_image(images: int, http: httpx2.Client, nadir: Nadir) -> None:
    """Each gets its own visual tokens, one after another, again from the caches, and all at once."""
    for concurrent in (False, True):
        pictures = [picture(300, 200, 20 + 10 * concurrent + index) for index in range(images)]
        cases = [one(words, *pictures) for words in QUESTIONS]
        expected = [ask_transformers(nadir.model, nadir.processor, case) for case in cases]
        assert differ(expected)
        with ThreadPoolExecutor(3 if concurrent else 1) as threads:
            served = list(threads.map(lambda case: ask_served(http, case), cases * 2))
        for given, wanted in zip(served, expected * 2, strict=True):
            assert_same(given, wanted)


def test_a_date_with_another_partner_is_not_the_same_picture(http: httpx2.Client, nadir: Nadir) -> None:
    first, second, third = (picture(90, 70, seed) for seed in (40, 41, 42))
    cases = [one(QUESTIONS[0], first, second), one(QUESTIONS[0], first, third), one(QUESTIONS[0], second, first)]
    expected = [ask_transformers(nadir.model, nadir.processor, case) for case in cases]
    assert differ(expected)
    for case, wanted in zip(cases, expected, strict=True):
        assert_same(ask_served(http, case), wanted)


def test_adapters_by_name(http: httpx2.Client, nadir: Nadir, adapted: dict[str, tuple[Path, Nadir]]) -> None:
    """The base model and two adapters, one after another and at once, do not disturb each other."""
    models = {"tiny": nadir, **{name: merged for name, (_, merged) in adapted.items()}}
    pictures = (picture(90, 70, 50), picture(90, 70, 51))
    cases = [one("What has changed?", *pictures, model=name) for name in models]
    expected = [ask_transformers(models[case.model].model, nadir.processor, case) for case in cases]
    assert differ(expected)
    with ThreadPoolExecutor(3) as threads:
        served = [
            *(ask_served(http, case) for case in cases),
            *threads.map(lambda case: ask_served(http, case), cases),
        ]
    for given, wanted in zip(served, expected * 2, strict=True):
        assert_same(given, wanted)


@pytest.mark.parametrize("task", ["ground", "detect", "count"])
def test_structured_answers_always_parse(task: str, http: httpx2.Client) -> None:
    """A model that has learned nothing writes shapes that parse, where it is held to the task's expression."""
    shown = picture(90, 70, 60)
    pattern = answer_pattern(task, "nadir")  # type: ignore[arg-type]
    for seed in range(2):
        reply = post(
            http, one("Where is the red car?", shown), max_tokens=120, temperature=1.0, seed=seed,
            structured_outputs={"regex": pattern},
        )  # fmt: skip
        assert reply.status_code == 200, reply.text
        choice = reply.json()["choices"][0]
        parsed = parse_text(choice["message"]["content"], sizes=[shown.size])
        kinds = {issue.kind for issue in parsed.issues}
        assert kinds <= {"reordered", "clipped"} | ({"truncated"} if choice["finish_reason"] == "length" else set())


@pytest.mark.parametrize(
    ("words", "pictures", "sentence"),
    [
        ("What is <image> here?", [picture(30, 30, 1)], "2 image placeholders, but 1 images"),
        ("What has changed?", [picture(30, 30, seed) for seed in range(9)], "At most 8"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    words: str, pictures: list, sentence: str, http: httpx2.Client, nadir: Nadir
) -> None:
    reply = post(http, one(words, *pictures))
    assert reply.status_code == 400 and sentence in reply.text
    assert http.get("/health").status_code == 200


def test_the_placeholder_is_never_generated(http: httpx2.Client, nadir: Nadir) -> None:
    """Where transformers suppresses it, vLLM does too, at any temperature."""
    bias = {str(nadir.model.config.image_token_id): 100}
    reply = post(http, one("ships", picture(30, 30, 1)), logit_bias=bias, return_token_ids=True, temperature=1.0)
    assert nadir.model.config.image_token_id not in reply.json()["choices"][0]["token_ids"]
