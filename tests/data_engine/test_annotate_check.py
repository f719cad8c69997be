"""Facts, and the words that contradict them: tables of true and false sentences about one airport and one landscape."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from data_engine.annotate.check import find_contradiction
from data_engine.annotate.claims import Amount, read_claims, read_places
from data_engine.annotate.facts import Facts, collect_facts
from data_engine.annotate.prompts import PROMPTS, find_prompt, read_captions, read_objects, render_prompt
from data_engine.annotations import cover_to_turn, merge_samples, scene_to_sample
from data_engine.labels import crop_mask
from data_engine.objects import Scene
from data_engine.places import PLACES
from data_engine.recipes import RECIPES
from data_engine.sources import hit_uav
from tests.data_engine.made_corpora import say
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Image, Region, Sample

IMAGE = Image(path="airport.png", width=900, height=900, gsd_m=0.5)
PLANES = [(100, 100), (160, 110), (120, 190), (700, 100), (450, 450), (480, 470)]
TANKS = [(800, 460), (820, 500)]
CLASSES = ("plane", "ship", "storage tank", "small vehicle", "harbor")


def airport(classes: tuple[str, ...] = CLASSES) -> Sample:
    boxes = [Region(HBB(x - 20, y - 10, x + 20, y + 10), "plane") for x, y in PLANES]
    boxes += [Region(HBB(x - 15, y - 15, x + 15, y + 15), "storage tank") for x, y in TANKS]
    return scene_to_sample(Scene("made/airport", IMAGE, tuple(boxes), (), classes, "made", "train", "CC0"))


def landscape() -> Sample:
    """Give 60 % trees (the upper part), 30 % crops below them and 10 % water at the bottom."""
    image = Image(path="land.tif", width=100, height=100, gsd_m=10.0, sensor="Sentinel-2")
    rows = np.arange(100)[:, None] * np.ones((1, 100))
    parts = {"tree cover": rows < 60, "cropland": (rows >= 60) & (rows < 90), "water": rows >= 90}
    masks = [Region(crop_mask(bits), label) for label, bits in parts.items()]
    turn = cover_to_turn(masks, ("tree cover", "cropland", "water", "built-up area"), seed=0, key="land")
    return replace(say("land", image, task="segment"), turns=(turn,))


AIRPORT = collect_facts(airport())
LAND = collect_facts(landscape())

TRUE = (
    (AIRPORT, "Six planes are parked on the apron."),
    (AIRPORT, "There are 6 large white planes and two storage tanks."),
    (AIRPORT, "An airport with several planes, a taxiway and a terminal."),
    (AIRPORT, "Three planes stand in the top left, one plane in the upper right corner and two in the center."),
    (AIRPORT, "In the top left corner, three planes are parked close together."),
    (AIRPORT, "Two storage tanks lie on the right side of the image."),
    (AIRPORT, "About five planes are visible; more than two of the planes are white."),
    (AIRPORT, "At least four planes and a pair of storage tanks."),
    (AIRPORT, "There are no ships, boats or cars to be seen."),
    (AIRPORT, "Planes of different sizes stand near the two oil tanks, without any ships nearby."),
    (AIRPORT, "One of the planes is larger. A two-lane road leads to the left of the terminal."),
    (AIRPORT, "The planes are about 20 m long."),
    (AIRPORT, "Many planes stand to the left of the tanks."),
    (AIRPORT, "Ships are not visible in this image."),
    (AIRPORT, "The image shows between five and seven planes."),
    (LAND, "The land is dominated by tree cover, with cropland below and water at the bottom of the image."),
    (LAND, "Trees cover about 60% of the area, and a third is cropland."),
    (LAND, "More than half is forest; 10 percent is water in the south."),
    (LAND, "The forest dominates the northern half, while cropland lies in the lower part."),
    (AIRPORT, "Six planes are parked; all six are white."),
    (LAND, "There are no buildings."),
)
FALSE = (
    (AIRPORT, "Five planes are parked on the apron.", "wrong number"),
    (AIRPORT, "A single plane stands on the runway.", "wrong number"),
    (AIRPORT, "There are 12 planes.", "wrong number"),
    (AIRPORT, "Dozens of planes are parked here.", "wrong number"),
    (AIRPORT, "More than ten planes are here.", "wrong number"),
    (AIRPORT, "Two planes stand in the top left corner.", "wrong number"),
    (AIRPORT, "Many storage tanks stand beside the road.", "wrong number"),
    (AIRPORT, "Planes are parked at the bottom of the image.", "wrong place"),
    (AIRPORT, "In the lower left corner, some planes can be seen.", "wrong place"),
    (AIRPORT, "Six planes, and storage tanks on the left side.", "wrong place"),
    (AIRPORT, "A boat is moored beside the planes.", "absent class"),
    (AIRPORT, "Six planes and a few cars.", "absent class"),
    (AIRPORT, "There are no planes at this airport.", "denied class"),
    (AIRPORT, "The airport is without storage tanks.", "denied class"),
    (AIRPORT, "Six planes stand in two rows.", "unfounded number"),
    (AIRPORT, "Six planes and four hangars.", "unfounded number"),
    (AIRPORT, "Planes built in 1998.", "unfounded number"),
    (AIRPORT, "Three planes in the top left and three in the center.", "unfounded number"),
    (AIRPORT, "Planes are parked here, nine of them in a row.", "unfounded number"),
    (LAND, "The land is mostly cropland.", "wrong share"),
    (LAND, "Water dominates the scene.", "wrong share"),
    (LAND, "Cropland covers 45% of the image.", "wrong share"),
    (LAND, "About half of the area is water.", "wrong share"),
    (LAND, "Water lies in the north of the image.", "wrong place"),
    (LAND, "Buildings stand between the trees.", "absent class"),
    (LAND, "There is no cropland.", "denied class"),
)


@pytest.mark.parametrize(("facts", "text"), TRUE)
def test_true_sentences_pass(facts, text):
    assert find_contradiction(text, facts) is None


@pytest.mark.parametrize(("facts", "text", "reason"), FALSE)
def test_false_sentences_have_their_reason(facts, text, reason):
    found = find_contradiction(text, facts)
    assert found is not None
    assert found[0] == reason, found


def test_the_sentence_says_what_is_annotated():
    _, sentence = find_contradiction("There are 5 planes.", AIRPORT)
    assert sentence == "'There are 5 planes.': the annotations hold 6 plane"
    _, sentence = find_contradiction("A plane stands at the bottom.", AIRPORT)
    assert sentence.endswith("plane lies 3 in the top left, 1 in the top right, 2 in the center")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("in the top left corner", ("top left",)),
        ("at the upper-left", ("top left",)),
        ("in the north-east of the image", ("top right",)),
        ("on the left", ("top left", "left", "bottom left")),
        ("in the center", ("center",)),
        ("in the lower middle part", ("bottom",)),
        ("in the left half", ("top left", "top", "left", "center", "bottom left", "bottom")),
        ("away from the center", tuple(place for place in PLACES if place != "center")),
        ("along the southern edge", ("bottom left", "bottom", "bottom right")),
    ],
)
def test_places_are_ninths(text, places):
    assert [found for _, found in read_places(f"planes {text}")] == [places]


@pytest.mark.parametrize("text", ["to the left of the road", "at the top of the hill", "on the right of it", "left"])
def test_sides_of_other_things_are_no_places(text):
    assert read_places(f"planes {text}") == []


def test_claims_hold_amounts_of_the_longest_name():
    claims = read_claims(
        "two storage tanks, some tanks and no small vehicles", ["tank", "storage tank", "small vehicle"]
    )
    assert [(claim.label, claim.amount, claim.denied) for claim in claims] == [
        ("storage tank", Amount(2, 2), False),
        ("tank", Amount(1, None), False),
        ("small vehicle", None, True),
    ]


def test_facts_are_counts_places_and_absences():
    assert AIRPORT.counts == {"plane": 6, "ship": 0, "storage tank": 2, "small vehicle": 0, "harbor": 0}
    assert AIRPORT.present == {"plane": 6, "storage tank": 2}
    assert AIRPORT.say_places("plane") == "3 in the top left, 1 in the top right, 2 in the center"
    first = AIRPORT.objects[0]
    assert (first.number, first.label, first.length_m) == (1, "plane", "20")
    assert LAND.absent == ("built-up area",)
    assert [(fact.label, fact.percent, fact.places) for fact in LAND.cover] == [
        ("tree cover", "60%", ("top left", "top", "top right", "left", "center", "right")),
        ("cropland", "30%", ("bottom left", "bottom", "bottom right")),
        ("water", "10%", ("bottom left", "bottom", "bottom right")),
    ]


def test_facts_of_several_samples_about_one_image_are_joined():
    samples = [airport(("plane", "ship")), replace(say("caption", IMAGE, "an airport by day"), source="made")]
    facts = collect_facts(merge_samples(samples))
    assert facts.counts == {"plane": 6, "ship": 0}
    assert facts.notes == ("Caption: an airport by day",)
    assert collect_facts(say("pair", (IMAGE, IMAGE), task="change")) is None
    assert collect_facts(say("nothing", Image(path="a.png"))) is None


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_tell_the_facts_and_ask_for_json(name):
    facts = LAND if name == "chatearthnet" else AIRPORT
    assert PROMPTS[name].fits(facts)
    system, user = render_prompt(PROMPTS[name], facts, count=2)
    assert "JSON" in system
    assert "{%" not in system + user
    assert "{{" not in system + user
    known = ["tree cover: 60%", "Sentinel-2", "10 m"] if facts is LAND else ["plane: 6 (3 in the top left", "0.5 m"]
    assert all(words in user for words in known)
    assert all(label in user for label in facts.absent)
    assert ("2" in system) == (PROMPTS[name].makes == "captions")


def test_a_prompt_of_ones_own_is_a_file(tmp_path):
    own = tmp_path / "mine.jinja"
    own.write_text('{% block system %}Be brief.{% endblock %}{% block user %}{% include "facts.jinja" %}{% endblock %}')
    system, user = render_prompt(find_prompt(str(own)), AIRPORT, count=1)
    assert system == "Be brief."
    assert "plane: 6" in user
    own.write_text("{% block system %}x{% endblock %}")
    with pytest.raises(DataError, match="has no block 'user'"):
        render_prompt(find_prompt(str(own)), AIRPORT, count=1)
    own.write_text("{% block system %}{{ fact }}{% endblock %}{% block user %}{% endblock %}")
    with pytest.raises(DataError, match=r"cannot be filled .UndefinedError"):
        render_prompt(find_prompt(str(own)), AIRPORT, count=1)
    with pytest.raises(DataError, match="no prompt 'poem': known are rs_gpt4v_global"):
        find_prompt("poem")


def test_prompts_need_their_facts():
    empty = Facts(10, 10, {}, (), (), ())
    assert not any(prompt.fits(empty) for prompt in PROMPTS.values())
    assert [name for name in PROMPTS if PROMPTS[name].fits(LAND)] == ["rs_gpt4v_global", "chatearthnet", "rsteller"]


@pytest.mark.parametrize(
    ("text", "captions"),
    [
        ('{"captions": ["a", " b "]}', ["a", "b"]),
        ('```json\n{"captions": ["a"]}\n```', ["a"]),
        ('Sure! Here it is: {"captions": ["a {braced} word"]} Enjoy.', ["a {braced} word"]),
        ('{"captions": []}', []),
    ],
)
def test_captions_are_read(text, captions):
    assert read_captions(text) == captions


@pytest.mark.parametrize("text", ["", "a caption", '{"captions": ["a", "b', '{"captions": "a"}', "[1]", '{"other": 1}'])
def test_what_is_no_answer_is_said_to_be_none(text):
    with pytest.raises(DataError, match=r"answer|expected"):
        read_captions(text)


def test_objects_are_read_by_number():
    assert read_objects('{"objects": [{"number": 2, "text": " a "}, {"number": "1", "text": "b"}]}') == {2: "a", 1: "b"}
    for text in ('{"objects": [{"text": "a"}]}', '{"objects": ["a"]}', '{"objects": [{"number": "x", "text": "a"}]}'):
        with pytest.raises(DataError, match="expected"):
            read_objects(text)


def test_what_our_own_recipes_say_is_never_a_contradiction():
    for sample, names in ((airport(), ("box_caption",)), (landscape(), ("landcover",))):
        facts = collect_facts(sample)
        said = [
            turn.answer.template
            for name in names
            for seed in range(20)
            for made in RECIPES[name](sample, seed)
            for turn in made.turns
            if turn.answer.task == "caption"
        ]
        assert len(said) >= 20
        assert [(text, find_contradiction(text, facts)) for text in said if find_contradiction(text, facts)] == []


def test_what_is_true_of_one_image_is_mostly_not_of_another(shared_data):
    scenes = list(islice(hit_uav.load_scenes(shared_data / "hit_uav", split="val"), 40))
    samples = [scene_to_sample(scene) for scene in scenes]
    facts = [collect_facts(sample) for sample in samples]
    captions = [
        (at, made.turns[0].answer.template)
        for at, sample in enumerate(samples)
        for made in RECIPES["box_caption"](sample, 0)
        if made.task == "caption"
    ]
    assert len(captions) >= 40
    assert not any(find_contradiction(text, facts[at]) for at, text in captions)
    others = [find_contradiction(text, facts[(at + 7) % 40]) is not None for at, text in captions]
    assert sum(others) > 0.6 * len(others)
