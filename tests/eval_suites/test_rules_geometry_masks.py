"""Masks from folders, arrays and rows: each protocol's own treatment of empty masks, thresholds and classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval_suites.measure import Measure, score_measure
from eval_suites.readers.loaded import Options
from eval_suites.readers.masks import read_masks
from eval_suites.rules import change_masks, region_masks
from eval_suites.rules.pixels import lay_on, read_mask, resize_nearest, to_binary, to_classes
from eval_suites.rules.rule import Rule
from vlm.errors import DataError

RULES = (*region_masks.RULES, *change_masks.RULES)


def score(suite: str, protocol: str, predictions: Path, references: Path | None = None) -> dict[str, float]:
    rule: Rule = next(rule for rule in RULES if suite in rule.suites and rule.protocol == protocol)
    loaded = rule.reader(predictions, references, rule.fields, Options())
    measures = [m for m in rule.score(loaded, Options()).measures if isinstance(m, Measure)]
    groups = [entry.group for entry in loaded.entries]
    return {measure.name: score_measure(measure, groups, draws=2).value for measure in measures}


def square(*, size: int = 10, side: int = 5, value: int = 255) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[:side, :side] = value
    return mask


def save(folder: Path, **masks: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{name}.png")
    return folder


EMPTY = np.zeros((10, 10), np.uint8)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Make four pairs: right, half, both empty, and one without a prediction."""
    save(tmp_path / "gt", a=square(), b=square(side=6), c=EMPTY, d=square())
    save(tmp_path / "pred", a=square(), b=square()[::-1], c=EMPTY, z=square())
    return tmp_path


def test_an_empty_pair_is_a_miss_for_rmsin_and_a_hit_for_lisa(masks: Path) -> None:
    rmsin, lisa = score("rrsisd", "rmsin", masks), score("rrsisd", "lisa", masks)
    overlap = 5 / (36 + 25 - 5)
    assert rmsin["mIoU"] == pytest.approx((1 + overlap + 0 + 0) / 4)
    assert rmsin["oIoU"] == lisa["cIoU"] == pytest.approx((25 + 5) / (25 + 56 + 25))
    assert lisa["gIoU"] == pytest.approx((2 + overlap) / 4, abs=1e-6)
    assert (rmsin["P@.9"], lisa["P@.9"]) == (0.25, 0.5)


def test_a_missing_mask_is_wrong_even_where_nothing_is_to_be_found(tmp_path: Path) -> None:
    save(tmp_path / "gt", a=EMPTY, b=square())
    save(tmp_path / "pred", b=square())
    assert score("earthreason", "lisa", tmp_path)["gIoU"] == pytest.approx(0.5)


def test_a_step_is_reached_by_rmsin_and_exceeded_by_lisa(tmp_path: Path) -> None:
    save(tmp_path / "gt", a=square(side=10))
    save(tmp_path / "pred", a=np.concatenate([square(side=10)[:5], EMPTY[:5]]))
    assert score("rrsisd", "rmsin", tmp_path)["P@.5"] == 1.0
    assert score("rrsisd", "lisa", tmp_path)["P@.5"] == 0.0


@pytest.mark.parametrize("size", [(800, 800), (512, 512), (337, 611), (480, 480), (97, 33)])
def test_masks_are_resized_as_torchvision_does_for_the_source(size: tuple[int, int]) -> None:
    import vlm.compat  # noqa: F401  # isort: skip
    from torchvision.transforms import InterpolationMode, functional

    bits = np.random.default_rng(0).random(size) < 0.5
    picture = Image.fromarray(bits.astype(np.uint8), mode="P")
    resized = functional.resize(picture, [480, 480], interpolation=InterpolationMode.NEAREST)
    assert np.array_equal(resize_nearest(bits, (480, 480)), np.asarray(resized) == 1)


def test_rmsin_measures_on_the_targets_pixels_or_on_480(tmp_path: Path) -> None:
    save(tmp_path / "gt", a=square(size=960, side=481))
    save(tmp_path / "pred", a=square(size=960, side=480))
    assert score("rrsisd", "rmsin", tmp_path)["mIoU"] == pytest.approx(480**2 / 481**2)
    assert score("rrsisd", "rmsin-480", tmp_path)["mIoU"] == 1.0
    save(tmp_path / "pred", a=square(size=480, side=120))
    assert score("rrsisd", "rmsin-480", tmp_path)["mIoU"] == pytest.approx(0.25)


def test_change_is_one_confusion_over_all_pixels(masks: Path) -> None:
    scores = score("change-mask", "global", masks)
    right, extra, missed = 25 + 5, 20, 31 + 25
    assert scores["F1"] == pytest.approx(2 * right / (2 * right + extra + missed))
    assert scores["IoU"] == pytest.approx(right / (right + extra + missed))
    assert scores["recall"] == pytest.approx(right / (right + missed))
    assert scores["accuracy"] == pytest.approx(1 - (extra + missed) / 400)
    unchanged = (400 - right - extra - missed) / (400 - right)
    assert scores["mIoU"] == pytest.approx((scores["IoU"] + unchanged) / 2)


def test_pictures_are_set_above_127_and_class_indices_above_0(tmp_path: Path) -> None:
    save(tmp_path / "gt", a=square(value=255))
    save(tmp_path / "pred", a=np.maximum(square(value=1), EMPTY))
    assert score("change-mask", "global", tmp_path)["F1"] == 1.0
    save(tmp_path / "pred", a=np.maximum(square(value=128), np.full((10, 10), 127, np.uint8)))
    assert score("change-mask", "global", tmp_path)["F1"] == 1.0


def test_probabilities_have_the_threshold_of_their_protocol(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", pred=square().astype(float)[None] / 255 * 0.4, gt=square()[None])
    assert score("change-mask", "vista", tmp_path / "all.npz")["F1"] == 1.0
    assert score("change-mask", "global", tmp_path / "all.npz")["F1"] == 0.0


def test_three_classes_are_read_from_grey_values_and_their_means_join_the_global_rule(tmp_path: Path) -> None:
    target = np.concatenate([square(value=128), square(value=255)])
    found = np.concatenate([square(value=1), square(value=2, side=4)])
    np.savez(tmp_path / "all.npz", prediction=found[None], label=target[None])
    three = score("change-mask", "levir-mci", tmp_path / "all.npz")
    assert three["mIoU"] == pytest.approx((150 / 159 + 1 + 16 / 25) / 3)
    assert three["Acc"] == pytest.approx(191 / 200)
    everything = score("change-mask", "global", tmp_path / "all.npz")
    assert everything["mIoU"] == three["mIoU"] and everything["F1"] == pytest.approx(2 * 41 / (41 + 50))


def test_masks_come_from_folders_arrays_and_rows_alike(tmp_path: Path) -> None:
    target, found = square(), square(side=4)
    save(tmp_path / "one" / "labels", x_gt=target)
    save(tmp_path / "two", x_pred=found)
    np.savez(tmp_path / "found.npz", x=found)
    np.savez(tmp_path / "both.npz", pred=found[None], gt=target[None])
    row = {"id": 1, "pred_mask": "two/x_pred.png", "mask_path": str(tmp_path / "one" / "labels" / "x_gt.png")}
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    runs = {"size": [10, 10], "counts": [0, *[5] * 9, 55]}
    (tmp_path / "runs.json").write_text(json.dumps([{**row, "mask_path": runs}]))
    save(tmp_path / "flat", x_gt=target, x_pred=found)
    save(tmp_path / "named", gt=target, pred=found)
    (tmp_path / "stacks").mkdir()
    for name, mask in (("gt", target), ("pred", found)):
        np.save(tmp_path / "stacks" / f"{name}.npy", mask[None])
    expected = pytest.approx(16 / 25)
    for predictions, references in (
        (tmp_path / "two", tmp_path / "one"),
        (tmp_path / "two", tmp_path / "one" / "labels"),
        (tmp_path / "found.npz", tmp_path / "one"),
        (tmp_path / "both.npz", None),
        (tmp_path / "rows.json", None),
        (tmp_path / "flat", None),
        (tmp_path / "named", None),
        (tmp_path / "stacks", None),
        (tmp_path / "runs.json", None),
    ):
        assert score("refsegrs", "rmsin", predictions, references)["mIoU"] == expected, predictions.name


def test_a_mask_of_another_size_is_laid_on_the_targets_pixels() -> None:
    assert lay_on(square(size=5, side=2), (10, 10)).tolist() == square(side=4).tolist()
    assert lay_on(None, (2, 3)).tolist() == [[0] * 3] * 2


def test_unpaired_masks_are_named(masks: Path) -> None:
    loaded = read_masks(masks, None, (), Options())
    assert [entry.id for entry in loaded.entries] == ["a", "b", "c", "d"] and loaded.missing == 1
    assert any("z" in line for line in loaded.unpaired) and any("d" in line for line in loaded.unpaired)


def test_what_holds_no_masks_is_refused(tmp_path: Path) -> None:
    for predictions, references in ((tmp_path, None), (tmp_path, tmp_path), (tmp_path / "no", None)):
        with pytest.raises(DataError, match=r"mask|folders"):
            read_masks(predictions, references, (), Options())
    np.savez(tmp_path / "one.npz", something=square())
    with pytest.raises(DataError, match="pred and gt"):
        read_masks(tmp_path / "one.npz", None, (), Options())
    with pytest.raises(DataError, match="name of a target"):
        read_masks(save(tmp_path / "x", a=EMPTY), save(tmp_path / "y", b=EMPTY), (), Options())


@pytest.mark.parametrize("value", ["gone.png", {"points": 1}, [1, 2], 5, {"size": [2, 2], "counts": [1, 2]}])
def test_what_is_no_mask_is_refused(value: Any) -> None:
    with pytest.raises(DataError):
        read_mask(value)


def test_values_are_read_as_the_files_mean_them() -> None:
    assert to_binary(np.array([[0, 1]])).tolist() == [[False, True]]
    assert to_binary(np.array([[127, 128]])).tolist() == [[False, True]]
    assert to_classes(np.array([[0, 128, 255]])).tolist() == [[0, 1, 2]]
    assert to_classes(np.array([[0, 1, 2]])).tolist() == [[0, 1, 2]]
