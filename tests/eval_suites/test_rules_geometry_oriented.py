"""Oriented boxes: EarthDial counts predicted boxes, F1 pairs them once, grec wants all; detection equals its loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_suites.__main__ import main
from eval_suites.measure import Measure, score_measure
from eval_suites.readers.dota import read_detections
from eval_suites.readers.loaded import Entry, Loaded, Options
from eval_suites.rules import dota_text, oriented
from eval_suites.rules.detection import RECALLS, Objects, average_precision, match_objects, rank_objects
from eval_suites.rules.overlap import box_quads, overlap_quads, rectangles
from eval_suites.rules.rule import Scores
from vlm.errors import DataError
from vlm.geometry import OBB

BOX, AWAY, TWIN = "[[10, 10, 30, 30, 0]]", "[[60, 60, 80, 80, 0]]", "[[11, 10, 31, 30, 0]]"


def load(*rows: tuple[Any, Any], **values: Any) -> Loaded:
    return Loaded(tuple(Entry(str(n), f"image {n}", *row, values=values) for n, row in enumerate(rows)))


def numbers(scores: Scores) -> dict[str, float]:
    groups = [str(n) for n in range(len(scores.rows))]
    return {
        m.name: score_measure(m, groups, draws=2).value if isinstance(m, Measure) else m.value for m in scores.measures
    }


def test_earthdial_divides_by_predicted_boxes_and_lets_several_lie_on_one_object() -> None:
    scores = numbers(oriented.score_earthdial(load((BOX + TWIN, BOX), ("", BOX), (AWAY, BOX)), Options()))
    assert scores["precision"] == pytest.approx(2 / 3), "two boxes on one object are both right, no box costs nothing"
    assert scores["F1"] == pytest.approx(2 * 1 / (3 + 3)), "one to one, and the empty row's object is missed"


def test_earthdial_counts_a_box_on_two_objects_once() -> None:
    assert numbers(oriented.score_earthdial(load((BOX, BOX + TWIN)), Options()))["precision"] == 1.0


def test_earthdial_does_not_see_boxes_with_a_minus_sign_and_files_such_a_row_under_multiple() -> None:
    scored = oriented.score_earthdial(load((BOX, "[[-1, 10, 30, 30, 0]]")), Options())
    table = scored.tables["precision by number of objects"]
    assert table["multiple"].parts.sum() == 1.0 and table["single"].parts.sum() == 0.0  # type: ignore[union-attr]
    assert numbers(scored)["precision"] == 0.0 and numbers(scored)["F1"] == 1.0


def test_earthdial_counts_a_box_of_four_numbers_as_a_wrong_one() -> None:
    assert numbers(oriented.score_earthdial(load(("[[10, 10, 30, 30]]", BOX)), Options()))["precision"] == 0.0


def test_earthdial_reads_geochats_braces_and_json_lists_like_its_own_text() -> None:
    rows = load(("{<10><10><30><30>|<0>}", BOX), ([[10, 10, 30, 30, 0]], BOX))
    assert numbers(oriented.score_earthdial(rows, Options()))["precision"] == 1.0


def test_xbd_leaves_the_predicted_angle_out_and_asks_for_a_quarter() -> None:
    xbd = next(rule for rule in oriented.RULES if rule.suites == ("xbd",))
    assert numbers(xbd.score(load(("[[10, 10, 50, 20, 90]]", "[[10, 10, 50, 20, 0]]")), Options()))["precision"] == 1.0
    assert numbers(xbd.score(load(("[[0, 0, 10, 10, 0]]", "[[0, 0, 10, 30, 0]]")), Options()))["precision"] == 1.0


def test_one_to_one_finds_the_most_pairs_not_the_greedy_ones() -> None:
    wide, left = "[[0, 0, 12, 10, 0]]", "[[0, 0, 10, 10, 0]]"
    rows = load((wide + left, left + "[[2, 0, 14, 10, 0]]"))
    assert numbers(oriented.score_one_to_one(rows, Options()))["F1"] == 1.0


def test_grec_wants_every_object_and_no_box_too_many() -> None:
    rows = load((BOX, BOX), (BOX + TWIN, BOX), (BOX, BOX + AWAY), ("", BOX))
    assert numbers(oriented.score_grec(rows, Options()))["F1=1"] == 0.25


def test_grec_measures_generalised_overlap() -> None:
    """Two diagonal neighbours have an IoU above a half and a hull that neither covers."""
    first, second = box_quads(np.array([[0, 0, 10, 10.0]])), box_quads(np.array([[1.8, 1.8, 11.8, 11.8]]))
    iou = overlap_quads(first, second).iou[0]
    assert iou > 0.5 > oriented.generalised_iou(first, second)[0]
    rows = load(("[[0, 0, 100, 100, 0]]", "[[18, 18, 118, 118, 0]]"))
    assert numbers(oriented.score_grec(rows, Options()))["F1=1"] == 0.0


def test_obb_takes_corners_in_any_order() -> None:
    rows = load(([0, 0, 10, 10, 10, 0, 0, 10], [[0, 0], [10, 0], [10, 10], [0, 10]]))
    assert numbers(oriented.score_obb(rows, Options()))["Acc@.7"] == 1.0


def objects(count: int, images: int, classes: int, seed: int) -> Objects:
    generator = np.random.default_rng(seed)
    boxes = generator.uniform((0, 0, 8, 8, -90), (40, 40, 25, 20, 90), (count, 5)).tolist()
    quads = np.array([OBB(*box).corners() for box in boxes])
    labels = generator.integers(0, classes, count)
    return Objects(generator.integers(0, images, count), labels, quads, generator.integers(0, 4, count) / 4)


def loop_over_class(found: Objects, targets: Objects, label: int, images: int) -> float:
    """Give one AP as mmrotate's loops do: per image best target by score, then one sort over all images."""
    scores, right = [], []
    for image in range(images):
        mine = np.flatnonzero((found.images == image) & (found.labels == label))
        theirs = np.flatnonzero((targets.images == image) & (targets.labels == label))
        taken: set[int] = set()
        good = dict.fromkeys(mine.tolist(), False)
        for place in mine[np.argsort(-found.scores[mine], kind="stable")].tolist():
            iou = [
                overlap_quads(rectangles(found.quads[place : place + 1]), rectangles(targets.quads[j : j + 1])).iou[0]
                for j in theirs
            ]
            best = int(np.argmax(iou)) if iou else -1
            if best >= 0 and iou[best] >= 0.5 and best not in taken:
                taken.add(best)
                good[place] = True
        scores += found.scores[mine].tolist()
        right += [good[place] for place in mine.tolist()]
    order = np.argsort(-np.array(scores), kind="stable")
    hits = np.array(right, float)[order]
    recall = hits.cumsum() / max(1, (targets.labels == label).sum())
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    return float(np.mean([max(precision[recall >= step], default=0.0) for step in RECALLS]))


@pytest.mark.parametrize("seed", range(2))
def test_average_precision_is_that_of_mmrotates_loops(seed: int) -> None:
    targets = objects(40, 3, 2, seed)
    moved = objects(40, 3, 2, seed + 50)
    near = Objects(targets.images, targets.labels, targets.quads + 1.0, targets.scores)
    order = np.argsort(np.concatenate([near.images, moved.images]), kind="stable")
    parts = (np.concatenate([getattr(near, name), getattr(moved, name)])[order]
             for name in ("images", "labels", "quads", "scores"))  # fmt: skip
    found = Objects(*parts)
    ranked = rank_objects(found, targets, match_objects(found, targets), classes=2, images=3, scores=found.scores)
    for label in range(2):
        assert average_precision(ranked[label]) == pytest.approx(loop_over_class(found, targets, label, 3), abs=1e-12)


def repeat_image(part: Objects, image: int, name: int) -> Objects:
    """Add a copy of one image's objects under another name."""
    again = np.flatnonzero(part.images == image)
    images = np.concatenate([part.images, np.full(len(again), name)])
    chosen = np.concatenate([np.arange(len(part)), again])
    return Objects(images, part.labels[chosen], part.quads[chosen], part.scores[chosen])


def test_average_precision_counts_an_image_as_often_as_it_is_drawn() -> None:
    """Drawing an image twice is the same as having it twice."""
    targets = objects(20, 2, 1, 1)
    scores = np.random.default_rng(0).permutation(20) / 20
    moved = np.where((targets.images == 0) | (scores > 0.8), 1, 9)[:, None, None]
    found = Objects(targets.images, targets.labels, targets.quads + moved, scores)
    once = rank_objects(found, targets, match_objects(found, targets), classes=1, images=2, scores=scores)[0]
    many = [repeat_image(part, 1, 2) for part in (found, targets)]
    again = rank_objects(*many, match_objects(*many), classes=1, images=3, scores=many[0].scores)[0]
    drawn = average_precision(once, np.array([1.0, 2.0]))
    assert 0 < drawn < 1 and drawn == pytest.approx(average_precision(again))
    assert drawn != average_precision(once)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


SQUARE = "0 0 20 0 20 20 0 20"


def make_labels(folder: Path) -> Path:
    write(folder / "P1.txt", f"imagesource:GoogleEarth\ngsd:0.5\n{SQUARE} ship 0\n50 0 70 0 70 20 50 20 plane 1\n")
    write(folder / "P2.txt", f"{SQUARE} plane 0\n")
    return folder


def score_detection(predictions: Path, references: Path | None, protocol: str = "map_nc") -> dict[str, float]:
    rule = next(rule for rule in dota_text.RULES if rule.protocol == protocol)
    loaded = read_detections(predictions, references, rule.fields, Options())
    return numbers(rule.score(loaded, Options()))


def test_result_files_score_against_label_files(tmp_path: Path) -> None:
    labels = make_labels(tmp_path / "labelTxt")
    write(tmp_path / "results" / "Task1_ship.txt", f"P1 0.9 {SQUARE}\n")
    write(tmp_path / "results" / "Task1_plane.txt", f"P1 0.9 50 0 70 0 70 20 50 20\nP2 0.8 {SQUARE}\n")
    scores = score_detection(tmp_path / "results", labels)
    assert scores["mAP_nc"] == scores["mAP"] == 1.0
    assert scores["mF1"] == pytest.approx(2 / 8), "ship is DOTA's seventh class, absent ones and the empty row count"


def test_text_of_a_model_is_read_in_pixels_and_near_class_names_count(tmp_path: Path) -> None:
    labels = make_labels(tmp_path / "labelTxt")
    said = {"P1": "0,0,20,0,20,20,0,20 ships\n50,0,70,0,70,20,50,20 plane", "P2": "There are none."}
    scores = score_detection(write(tmp_path / "said.json", said), labels)
    assert scores["mAP_nc"] == pytest.approx((1 + 6 / 11) / 2)


def test_text_in_bins_is_read_with_the_size_of_the_image(tmp_path: Path) -> None:
    said = "ship" + "".join(f"<loc_{number}>" for number in (0, 0, 0, 199, 199, 199, 199, 0))
    row = {"image": "a", "width": 100, "height": 100, "gt": [{"poly": [0, 0, 20, 0, 20, 20, 0, 20], "label": "ship"}]}
    path = write(tmp_path / "all.jsonl", json.dumps({**row, "response": said}) + "\n")
    assert score_detection(path, None)["mAP_nc"] == 1.0


def test_the_command_line_scores_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = make_labels(tmp_path / "labelTxt")
    write(tmp_path / "results" / "Task1_ship.txt", f"P1 0.9 {SQUARE}\n")
    main(["score", str(tmp_path / "results"), "--suite", "dota-text", "--references", str(labels)])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["scores"]["mAP_nc"]["value"] == 0.5 and result["missing"] == 1
    assert result["scores"]["mAP_nc"]["standard_error"] is not None


def test_json_of_images_scores_alone_and_missing_images_stay(tmp_path: Path) -> None:
    square = [0, 0, 20, 0, 20, 20, 0, 20]
    gt = [{"poly": square, "label": 0}]
    images = [{"image": "a", "gt": gt, "dets": [{"poly": square, "label": 0, "score": 0.3}]}, {"image": "b", "gt": gt}]
    path = write(tmp_path / "all.json", {"classes": ["ship"], "images": images})
    assert score_detection(path, None, "map")["mAP"] == pytest.approx(6 / 11)


@pytest.mark.parametrize("shuffle", [1, -1])
def test_the_order_of_images_does_not_matter(tmp_path: Path, shuffle: int) -> None:
    square, other = [0, 0, 20, 0, 20, 20, 0, 20], [50, 0, 70, 0, 70, 20, 50, 20]
    rows = [
        {"image": f"i{n}", "gt": [{"poly": square, "label": "ship"}],
         "dets": [{"poly": square if n % 2 else other, "label": "ship"}]}
        for n in range(6)
    ]  # fmt: skip
    path = write(tmp_path / "all.json", rows[::shuffle])
    assert score_detection(path, None)["mAP_nc"] == pytest.approx(6 / 11 * 0.5)


def test_what_is_no_detection_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="txt"):
        read_detections(tmp_path, tmp_path, (), Options())
    with pytest.raises(DataError, match="references"):
        read_detections(tmp_path, None, (), Options())
    bad = write(tmp_path / "bad" / "Task1_ship.txt", "P1 0.9 1 2 3\n").parent
    with pytest.raises(DataError, match="x4 y4"):
        read_detections(bad, make_labels(tmp_path / "labelTxt"), (), Options())
