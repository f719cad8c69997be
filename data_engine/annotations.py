"""Annotations as samples and back: the form in which what is known about an image travels to the recipes.

All objects of an image are a detection of all its classes, one answer with phrases and boxes, and a second one with
oriented boxes where they are known. The instruction names the classes that were looked for, so that the absence of one
is a fact; a class of which some objects may not be labelled is left out. A phrase may start with a colour ("red car").
Land cover is a segmentation of classes. Samples that ask for one class only are read too: they tell about that class.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from data_engine import generate
from data_engine.changes import PHRASE, ChangeScene
from data_engine.generate import BoxKind
from data_engine.labels import crop_mask
from data_engine.objects import Scene, seeded
from data_engine.places import centre_of
from data_engine.wording import WORDING
from vlm.codecs import Slot, split_template
from vlm.errors import DataError
from vlm.geometry.convert import to_hbb
from vlm.geometry.shapes import HBB, OBB
from vlm.records import Answer, Region, Sample, Task, Turn

COLOURS: Final = (
    "white", "black", "grey", "gray", "silver", "red", "green", "blue", "yellow", "orange", "brown", "purple", "pink",
    "cyan", "beige", "dark", "light",
)  # fmt: skip
_LISTS: Final = tuple(
    re.compile(re.escape(text).replace(r"\{classes\}", "(?P<classes>.+)"))
    for kind, texts in WORDING.items()
    if kind.startswith(("detect_classes", "segment_classes"))
    for text in texts
)


def scene_to_sample(scene: Scene, *, seed: int = 0) -> Sample:
    """Give one sample with all objects of a scene: boxes, and oriented boxes where the scene holds them.

    Doubtful classes are left out. Raises DataError where no class is certain or a class has a comma in its name.
    """
    classes = list_classes(scene)
    if not classes:
        raise DataError(f"scene {scene.key} has classes {scene.classes}: expected a sure one, without comma and colon")
    rng = seeded(seed, f"{scene.key}/objects")
    order = _reading_order(scene, classes)
    kinds: tuple[BoxKind, ...] = ("box", "obb") if scene.obbs else ("box",)
    turns = []
    for kind in kinds:
        regions = [_coloured(scene, index, kind) for index in order]
        template = generate.write_slot(f"ref {kind}", len(regions))
        name, words = f"detect_classes_{kind}", {"classes": ", ".join(classes)}
        turns.append(generate.locate(name, template, regions, rng, task="detect", words=words))
    return Sample(
        f"{scene.key}/objects", (scene.image,), tuple(turns), "detect", scene.source, scene.split, scene.licence
    )


def list_classes(scene: Scene) -> tuple[str, ...]:
    """Give the classes of which all objects are labelled; none where one of them cannot stand in a list."""
    classes = tuple(label for label in scene.classes if label not in scene.doubtful)
    return () if any("," in label or ":" in label for label in classes) else classes


def sample_to_scene(sample: Sample) -> Scene | None:
    """Read the objects of a sample's detections; None where it has none, several images, or an image of unknown size.

    A sample without the list of its classes tells about the classes of its regions alone.
    """
    image = sample.images[0]
    if len(sample.images) != 1 or image.width is None or image.height is None:
        return None
    found: dict[str, dict[BoxKind, tuple[Region, ...]]] = {}
    asked: dict[str, None] = {}
    for turn, kind in _detections(sample):
        labels = read_classes(turn.instruction) or _phrases(turn.answer.regions)
        asked.update(dict.fromkeys(labels))
        for label in labels:
            members = tuple(r for r in turn.answer.regions if split_colour(r.phrase, labels)[1] == label)
            found.setdefault(label, {}).setdefault(kind, members)
    if not asked:
        return None
    boxes, obbs = _join_kinds(found)
    pairs = [split_colour(region.phrase, asked) for region in boxes]
    plain = tuple(replace(region, phrase=label) for region, (_, label) in zip(boxes, pairs, strict=True))
    turned = tuple(replace(region, phrase=label) for region, (_, label) in zip(obbs, pairs, strict=bool(obbs)))
    colours = tuple(colour for colour, _ in pairs) if any(colour for colour, _ in pairs) else ()
    return Scene(
        sample.id, image, plain, turned, tuple(asked), sample.source, sample.split, sample.licence, (), colours
    )


def change_scene_to_sample(scene: ChangeScene, *, seed: int = 0) -> Sample:
    """Give one sample with the change mask of a pair and the sentence that says what happened."""
    rng = seeded(seed, f"{scene.key}/pair")
    mask = crop_mask(scene.changed)
    region = None if mask is None else Region(mask, PHRASE)
    sentence = scene.forward if mask is not None else None
    turns = (generate.change_mask(region, rng), generate.change_caption(sentence, rng))
    return Sample(
        f"{scene.key}/pair", (scene.before, scene.after), turns, "change", scene.source, scene.split, scene.licence
    )


def cover_to_turn(
    masks: Sequence[Region],
    classes: Sequence[str],
    *,
    seed: int,
    key: str,
    dates: int = 1,
    changed_only: bool = False,
) -> Turn:
    """Give the turn that asks for the masks of all land-cover classes of an image, or of both dates of a pair.

    `changed_only` asks for them where the dates differ, for pairs whose labels tell nothing about the rest.
    """
    kind = "segment_classes" if dates == 1 else "segment_classes_dates"
    if changed_only:
        kind = "segment_classes_changed"
    task: Task = "segment" if dates == 1 else "change"
    template = generate.write_slot("ref seg", len(masks))
    rng = seeded(seed, f"{key}/cover")
    return generate.locate(kind, template, masks, rng, task=task, words={"classes": ", ".join(classes)})


def read_classes(instruction: str) -> tuple[str, ...]:
    """Read the list of classes from an instruction that names one; empty where it names none."""
    for pattern in _LISTS:
        match = pattern.fullmatch(instruction)
        if match:
            return tuple(match["classes"].replace("{{", "{").replace("}}", "}").split(", "))
    return ()


def split_colour(phrase: str, labels: Iterable[str]) -> tuple[str | None, str]:
    """Split "red car" into colour and class where the class is one of `labels`; any other phrase is the class."""
    colour, _, rest = phrase.partition(" ")
    known = set(labels)
    return (colour, rest) if phrase not in known and colour in COLOURS and rest in known else (None, phrase)


def slot_kinds(answer: Answer) -> set[str]:
    """Give the kinds of geometry that an answer writes: "box", "obb", "seg" and so on."""
    return {piece.kind for piece in split_template(answer.template) if isinstance(piece, Slot)}


def merge_samples(samples: Sequence[Sample]) -> Sample:
    """Join samples about the same images into one of all their turns; its id is what the ids have in common."""
    first = samples[0]
    if any(sample.images != first.images for sample in samples):
        raise DataError(f"samples {first.id} ... {samples[-1].id} are about different images: merge them by image")
    if len(samples) == 1:
        return first
    turns = tuple(
        replace(turn, answer=replace(turn.answer, task=turn.answer.task or sample.task))
        for sample in samples
        for turn in sample.turns
    )
    return replace(first, id=_common_id([sample.id for sample in samples]), turns=turns)


def _detections(sample: Sample) -> Iterator[tuple[Turn, BoxKind]]:
    for turn in sample.turns:
        if (turn.answer.task or sample.task) == "detect":
            yield turn, "obb" if slot_kinds(turn.answer) & {"obb", "quad"} else "box"


def _phrases(regions: Sequence[Region]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(region.phrase for region in regions if region.phrase))


def _join_kinds(found: dict[str, dict[BoxKind, tuple[Region, ...]]]) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
    """Give boxes and oriented boxes in one order; no oriented boxes where some objects have none."""
    boxes: list[Region] = []
    obbs: list[Region] = []
    for kinds in found.values():
        members = kinds.get("box") or kinds.get("obb") or ()
        boxes += members
        turned = kinds.get("obb") or tuple(region for region in members if not isinstance(region.geometry, HBB))
        if len(turned) == len(members):
            obbs += _pair(members, turned)
    return tuple(boxes), tuple(obbs) if len(obbs) == len(boxes) else ()


def _pair(boxes: Sequence[Region], obbs: Sequence[Region]) -> list[Region]:
    """Bring oriented boxes into the order of the boxes around them, each to the nearest centre that is left."""
    if all(math.dist(centre_of(a.geometry), _middle(b)) < 1 for a, b in zip(boxes, obbs, strict=True)):
        return list(obbs)
    left = list(obbs)
    ordered = []
    for box in boxes:
        x, y = centre_of(box.geometry)
        nearest = min(left, key=lambda region: math.dist((x, y), _middle(region)))
        left.remove(nearest)
        ordered.append(nearest)
    return ordered


def _middle(region: Region) -> tuple[float, float]:
    return (region.geometry.cx, region.geometry.cy) if isinstance(region.geometry, OBB) else centre_of(region.geometry)


def _reading_order(scene: Scene, classes: Sequence[str]) -> list[int]:
    """Give the indices of the objects of the classes in the order of generate.sort_regions."""

    def key(index: int) -> tuple[str, float, float]:
        x, y = centre_of(to_hbb(scene.boxes[index].geometry))
        return _coloured(scene, index, "box").phrase, y, x

    return sorted((at for at, region in enumerate(scene.boxes) if region.phrase in classes), key=key)


def _coloured(scene: Scene, index: int, kind: BoxKind) -> Region:
    region = scene.regions(kind)[index]
    colour = scene.colours[index] if scene.colours else None
    return replace(region, phrase=f"{colour} {region.phrase}") if colour else region


def _common_id(ids: Sequence[str]) -> str:
    parts = [identity.split("/") for identity in ids]
    shared = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return "/".join(shared) or ids[0]
