"""Recipe compare: are there more cars than ships, as many, how many more, and what is there most of?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from data_engine import templates
from data_engine.annotations import sample_to_scene
from data_engine.places import join_words
from data_engine.recipes.recipe import present_and_absent, question, rng_of, slug, some
from vlm.records import Sample


def compare(sample: Sample, seed: int) -> Iterator[Sample]:
    """Yield questions that compare the numbers of two classes (an absent one now and then), and the most frequent."""
    scene = sample_to_scene(sample)
    if scene is None:
        return
    present, absent = present_and_absent(scene)
    labels = [*present, *absent[:1]]
    numbers = [len(scene.of_class(label)) for label in labels]
    rng = rng_of(sample, "compare", seed)
    for first, second in some(list(combinations(range(len(labels)), 2)), rng):
        pair = [(labels[first], numbers[first]), (labels[second], numbers[second])]
        rng.shuffle(pair)
        yield from _pair(sample, pair[0], pair[1], seed)
    if len(present) > 1 and numbers.count(max(numbers)) == 1:
        choices = list(present)
        rng.shuffle(choices)
        name = "compare/most"
        best = labels[numbers.index(max(numbers))]
        words = {"choices": join_words(choices, last="or")}
        yield question(sample, name, "compare_most", best, seed=seed, words=words)


def _pair(sample: Sample, first: tuple[str, int], second: tuple[str, int], seed: int) -> Iterator[Sample]:
    (label, number), (other, rest) = first, second
    answers = {"more": number > rest, "fewer": number < rest, "equal": number == rest}
    words = {"phrase": label, "other": other}
    for kind, true in answers.items():
        name = f"compare-{kind}/{slug(label)}/{slug(other)}"
        answer = templates.YES if true else templates.NO
        yield question(sample, name, f"compare_{kind}", answer, seed=seed, words=words)
    if number == rest:
        return
    name = f"compare-which/{slug(label)}/{slug(other)}"
    more = label if number > rest else other
    yield question(sample, name, "compare_which", more, seed=seed, words=words)
    name = f"compare-difference/{slug(label)}/{slug(other)}"
    words = {"phrase": more, "other": other if more == label else label}
    yield question(sample, name, "compare_difference", str(abs(number - rest)), seed=seed, words=words, task="count")
