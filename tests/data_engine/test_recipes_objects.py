"""Recipes on objects: what they say is true for a reader who shares no code with them, and stays true when moved."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from dataclasses import replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data_engine.annotations import sample_to_scene, scene_to_sample
from data_engine.moves import MOVES, can_move, move_turn
from data_engine.objects import Scene
from data_engine.recipes import RECIPES
from data_engine.referring import find_referring_phrases
from tests.data_engine.naive import Thing, World, lies, read_instruction, sector
from vlm.codecs import render_text
from vlm.geometry.convert import to_hbb, to_obb
from vlm.geometry.shapes import OBB
from vlm.records import TASKS, Image, Region, Sample

WIDTH, HEIGHT = 1000, 600
CLASSES = ("car", "bus", "ship", "small car")
OBJECT_RECIPES = ("ground", "detect", "count", "presence", "compare", "size", "position", "relate", "region", "colour",
                  "ladder", "negatives", "box_caption")  # fmt: skip


UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


def make_scene(regions, *, colours=(), obbs=True, classes=CLASSES, doubtful=()):
    image = Image(path="a.png", width=WIDTH, height=HEIGHT, gsd_m=0.5)
    turned = tuple(Region(to_obb(region.geometry), region.phrase) for region in regions) if obbs else ()
    boxes = tuple(Region(to_hbb(region.geometry), region.phrase) for region in regions)
    return Scene("s/train/1", image, boxes, turned, classes, "s", "train", "l", doubtful, tuple(colours))


def box(x, y, w=20, h=20, phrase="car"):
    return Region(OBB(x, y, max(w, h), min(w, h), 0.0 if w >= h else -90.0), phrase)


def world_of(scene, width=WIDTH, height=HEIGHT):
    things = []
    for at, region in enumerate(scene.boxes):
        shape = to_hbb(region.geometry)
        area = (scene.obbs or scene.boxes)[at].geometry.area
        colour = scene.colours[at] if scene.colours else None
        things.append(Thing(region.phrase, (shape.x1 + shape.x2) / 2, (shape.y1 + shape.y2) / 2, area, colour))
    return World(tuple(things), width, height)


regions = st.builds(
    lambda x, y, w, h, a, phrase: Region(OBB(x, y, max(w, h), min(w, h), a), phrase),
    st.integers(60, WIDTH - 60), st.integers(60, HEIGHT - 60), st.integers(4, 80), st.integers(4, 80),
    st.sampled_from((-90.0, -45.0, -30.0, 0.0, 20.0, 45.0)), st.sampled_from(("car", "bus", "ship")),
)  # fmt: skip


@st.composite
def scenes(draw):
    members = draw(st.lists(regions, min_size=1, max_size=7))
    colours = [draw(st.sampled_from(("white", "red", "blue"))) for _ in members] if draw(st.booleans()) else []
    return make_scene(members, colours=colours)


# Annotations


@settings(max_examples=20, deadline=None)
@given(scenes())
def test_annotations_read_back(scene):
    again = sample_to_scene(scene_to_sample(scene))
    assert again.classes == scene.classes

    def described(found):
        colours = found.colours or [None] * len(found.boxes)
        return Counter(zip(found.boxes, found.obbs, colours, strict=True))

    assert described(again) == described(scene)


def test_doubtful_classes_leave_no_trace():
    scene = make_scene([box(100, 100), box(300, 300, phrase="bus")], doubtful=("bus", "ship"))
    again = sample_to_scene(scene_to_sample(scene))
    assert again.classes == ("car", "small car")
    assert [region.phrase for region in again.boxes] == ["car"]


# Unique phrases


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_each_referring_phrase_fits_exactly_one_object(scene):
    found = find_referring_phrases(scene.boxes, width=WIDTH, height=HEIGHT, colours=scene.colours)
    seen = zip(world_of(scene).things, scene.boxes, strict=True)
    world = World(tuple(replace(thing, area=region.geometry.area) for thing, region in seen), WIDTH, HEIGHT)
    for unique in found:
        assert world.find(unique.phrase) == [unique.index], unique


def test_every_reason_for_uniqueness_occurs():
    cars = [box(60, 300), box(300, 100), box(600, 500), box(900, 290, 60, 60)]
    scene = make_scene([*cars, box(620, 560, phrase="bus")], colours=("red", "red", "blue", "white", "white"))
    found = find_referring_phrases(scene.boxes, width=WIDTH, height=HEIGHT, colours=scene.colours)
    phrases = {unique.phrase: unique.index for unique in found}
    assert phrases["left-most car"] == 0
    assert phrases["largest car"] == 3
    assert phrases["blue car"] == 2
    assert phrases["second car from the left"] == 1
    assert phrases["car in the bottom"] if "car in the bottom" in phrases else phrases["car at the bottom"] == 2
    assert phrases["car nearest to the bus"] == 2
    assert phrases["left-most red car"] == 0
    assert phrases["bus"] == 4
    assert {unique.basis for unique in found} == {"single", "position", "size", "colour", "order", "place", "relation"}


def test_a_class_that_ends_another_ones_name_is_named_by_no_phrase():
    scene = make_scene([box(100, 100), box(500, 500, phrase="small car")])
    found = find_referring_phrases(scene.boxes, width=WIDTH, height=HEIGHT)
    assert [unique.phrase for unique in found] == ["small car"]


# What the recipes say


@settings(max_examples=25, deadline=None, phases=UNSHRUNK)
@given(scenes(), st.integers(0, 3))
def test_everything_said_is_true(scene, seed):
    sample = scene_to_sample(scene)
    world = world_of(sample_to_scene(sample))
    checked = Counter()
    for name in OBJECT_RECIPES:
        for made in RECIPES[name](sample, seed):
            check_form(made, sample)
            for turn in made.turns:
                checked[check_turn(turn, world, sample_to_scene(sample))] += 1
    assert checked.total()


@settings(max_examples=16, deadline=None, phases=UNSHRUNK)
@given(scenes(), st.sampled_from(MOVES))
def test_everything_said_stays_true_when_the_picture_moves(scene, move):
    """Move a scene and what was said of it, and read the moved words on the moved objects."""
    sample = scene_to_sample(scene)
    size = (WIDTH, HEIGHT)
    moved_scene = sample_to_scene(sample_moved(sample, move, size))
    world = world_of(moved_scene, *move.size(*size))
    for name in ("ground", "count", "presence", "position", "relate", "region", "colour", "size", "negatives"):
        for made in RECIPES[name](sample, 0):
            assert can_move(made.turns), made.turns
            for turn in made.turns:
                check_turn(move_turn(turn, move, [size]), world, moved_scene)


def sample_moved(sample, move, size):
    width, height = move.size(*size)
    turns = tuple(move_turn(turn, move, [size]) for turn in sample.turns)
    return Sample(sample.id, (Image(path="a.png", width=width, height=height),), turns, sample.task, "s")


def check_form(made, sample):
    assert made.id.startswith(sample.id + "/")
    assert made.task in TASKS
    assert made.images == sample.images
    for turn in made.turns:
        render_text(turn.instruction, turn.regions, sizes=[(WIDTH, HEIGHT)])
        text = render_text(turn.answer.template, turn.answer.regions, sizes=[(WIDTH, HEIGHT)])
        assert text
        assert turn.answer.task in TASKS


def check_turn(turn, world, scene):
    """Check a turn by each reading of its instruction; one of those that make sense has to be true."""
    readings = [(kind, words) for kind, words in read_instruction(turn.instruction) if kind in CHECKS]
    results = []
    for kind, words in readings:
        with contextlib.suppress(LookupError):
            results.append((kind, CHECKS[kind](words, turn, world, scene)))
    assert not results or any(true for _, true in results), (turn.instruction, turn.answer.template, world.things)
    return results[0][0] if results else "unchecked"


def text_of(turn):
    return turn.answer.template.replace("{{", "{").replace("}}", "}")


def yes(turn):
    if text_of(turn) not in ("yes", "no"):
        raise LookupError(f"{text_of(turn)!r} is no answer to a yes/no question")
    return text_of(turn) == "yes"


def labels_of(world):
    return Counter(thing.label for thing in world.things)


def singular(world, plural):
    table = {"cars": "car", "buses": "bus", "ships": "ship", "small cars": "small car", **{c: c for c in CLASSES}}
    colour, _, label = plural.partition(" ")
    return f"{colour} {table[label]}" if plural not in table else table[plural]


def noun(words, world):
    return singular(world, words.get("phrase") or words["plural"])


def other(words, world):
    return singular(world, words.get("other") or words["others"])


def number(words, world):
    return labels_of(world)[noun(words, world)]


def rest(words, world):
    return labels_of(world)[other(words, world)]


def only(world, phrase):
    return world.only(phrase)


def shape_matches(turn, world, words):
    if turn.answer.template == "none":
        return not world.find(words["phrase"])
    if len(turn.answer.regions) != 1:
        raise LookupError("the answer is not one region")
    region = turn.answer.regions[0]
    thing = only(world, words["phrase"])
    centre = to_hbb(region.geometry)
    return math.dist(((centre.x1 + centre.x2) / 2, (centre.y1 + centre.y2) / 2), (thing.x, thing.y)) < 1e-6


def in_place(words, world):
    place = words["place"].split(" the ")[1]
    return [at for at in world.find(noun(words, world)) if world.place(world.things[at]) == place]


def inside(turn, words, world, scene):
    window = turn.regions[0].geometry
    label = noun(words, world)
    boxes = [to_hbb(region.geometry) for region in scene.boxes if region.phrase == label]
    return sum(window.x1 < (b.x1 + b.x2) / 2 < window.x2 and window.y1 < (b.y1 + b.y2) / 2 < window.y2 for b in boxes)


def region_label(turn, world):
    shape = to_hbb(turn.regions[0].geometry)
    here = ((shape.x1 + shape.x2) / 2, (shape.y1 + shape.y2) / 2)
    return {thing.label for thing in world.things if math.dist(here, (thing.x, thing.y)) < 1e-6}


def lies_so(words, turn, world):
    return sector(text_of(turn), only(world, words["phrase"]), only(world, words["other"]))


def nearest(words, turn, world):
    anchor, one, two = (only(world, words[name]) for name in ("phrase", "other", "third"))
    far = [math.dist((anchor.x, anchor.y), (thing.x, thing.y)) for thing in (one, two)]
    return text_of(turn) == words["other" if far[0] < far[1] else "third"]


def direction(words, turn, world, scene):
    (at,) = world.find(words["phrase"])
    angle = math.radians(to_obb(scene.obbs[at].geometry).angle_deg)
    along = {"horizontally": (1, 0), "vertically": (0, 1), "from the top left to the bottom right": (1, 1),
             "from the top right to the bottom left": (-1, 1)}[text_of(turn)]  # fmt: skip
    cosine = abs(math.cos(angle) * along[0] + math.sin(angle) * along[1]) / math.hypot(*along)
    return cosine > math.cos(math.radians(22.5))


def choice(turn, words, world, test):
    options = words["choices"].replace(" or ", ", ").split(", ")
    right = [option for option in options if test(only(world, option))]
    return right == [text_of(turn)]


def listed(words, turn, world):
    wanted = words["classes"].split(", ")
    return Counter(r.phrase for r in turn.answer.regions) == Counter(t.label for t in world.things if t.label in wanted)


def most(words, world):
    return max(words["choices"].replace(" or ", ", ").split(", "), key=lambda label: labels_of(world)[label])


def length(words, turn, world, scene):
    (at,) = world.find(words["phrase"])
    return math.isclose(float(text_of(turn).split()[0]), scene.obbs[at].geometry.w * 0.5, rel_tol=0.06)


CHECKS = {
    "ground_box": lambda w, t, o, s: shape_matches(t, o, w),
    "ground_obb": lambda w, t, o, s: shape_matches(t, o, w),
    "count": lambda w, t, o, s: text_of(t) == str(number(w, o)),
    "count_place": lambda w, t, o, s: text_of(t) == str(len(in_place(w, o))),
    "count_classes": lambda w, t, o, s: int(text_of(t)) == sum(labels_of(o)[c] for c in w["classes"].split(", ")),
    "region_count": lambda w, t, o, s: text_of(t) == str(inside(t, w, o, s)),
    "presence": lambda w, t, o, s: yes(t) == bool(o.find(w.get("phrase") or singular(o, w["plural"]))),
    "presence_place": lambda w, t, o, s: yes(t) == bool(in_place(w, o)),
    "presence_both": lambda w, t, o, s: yes(t) == bool(number(w, o) and rest(w, o)),
    "presence_either": lambda w, t, o, s: yes(t) == bool(number(w, o) or rest(w, o)),
    "compare_more": lambda w, t, o, s: yes(t) == (number(w, o) > rest(w, o)),
    "compare_fewer": lambda w, t, o, s: yes(t) == (number(w, o) < rest(w, o)),
    "compare_equal": lambda w, t, o, s: yes(t) == (number(w, o) == rest(w, o)),
    "compare_which": lambda w, t, o, s: labels_of(o)[text_of(t)] == max(number(w, o), rest(w, o)),
    "compare_difference": lambda w, t, o, s: int(text_of(t)) == number(w, o) - rest(w, o) > 0,
    "compare_most": lambda w, t, o, s: most(w, o) == text_of(t),
    "size_which": lambda w, t, o, s: only(o, text_of(t)).area == max(only(o, w[x]).area for x in ("phrase", "other")),
    "size_larger": lambda w, t, o, s: yes(t) == (only(o, w["phrase"]).area > only(o, w["other"]).area),
    "size_smaller": lambda w, t, o, s: yes(t) == (only(o, w["phrase"]).area < only(o, w["other"]).area),
    "size_length": length,
    "position": lambda w, t, o, s: o.place(only(o, w["phrase"])) == text_of(t),
    "position_yes": lambda w, t, o, s: yes(t) == (o.place(only(o, w["phrase"])) == w["place"].split(" the ")[1]),
    "position_choice": lambda w, t, o, s: o.place(only(o, w["phrase"])) == text_of(t).split(" the ")[1],
    "position_what": lambda w, t, o, s: choice(t, w, o, lambda thing: o.place(thing) == w["place"].split(" the ")[1]),
    "direction": direction,
    "relation": lambda w, t, o, s: lies_so(w, t, o),
    "relation_yes": lambda w, t, o, s: yes(t) == lies(w["relation"], only(o, w["phrase"]), only(o, w["other"])),
    "relation_what": lambda w, t, o, s: choice(t, w, o, lambda thing: lies(w["relation"], thing, only(o, w["phrase"]))),
    "nearest": lambda w, t, o, s: nearest(w, t, o),
    "region": lambda w, t, o, s: region_label(t, o) >= {text_of(t)},
    "region_yes": lambda w, t, o, s: yes(t) == (w["phrase"] in region_label(t, o)) or len(region_label(t, o)) > 1,
    "region_refer": lambda w, t, o, s: only(o, text_of(t)).label in region_label(t, o),
    "colour": lambda w, t, o, s: only(o, w["phrase"]).colour == text_of(t),
    "colour_yes": lambda w, t, o, s: yes(t) == (only(o, w["phrase"]).colour == w["colour"]),
    "detect_box": lambda w, t, o, s: len(t.answer.regions) == len(o.find(noun(w, o))),
    "detect_obb": lambda w, t, o, s: len(t.answer.regions) == len(o.find(noun(w, o))),
    "detect_classes_box": lambda w, t, o, s: listed(w, t, o),
    "detect_classes_obb": lambda w, t, o, s: listed(w, t, o),
}  # fmt: skip
