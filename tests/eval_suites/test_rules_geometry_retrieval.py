"""Ranks counted in blocks equal those of the sources' sorting, ties included; zero-shot scenes by their prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval_suites.measure import Measure, score_measure
from eval_suites.readers.loaded import Options
from eval_suites.readers.similarity import group_captions, read_similarity
from eval_suites.rules import ranks, retrieval, zeroshot
from eval_suites.rules.rule import Rule
from vlm.errors import DataError

RULES = (*retrieval.RULES, *zeroshot.RULES)


def score(protocol: str, path: Path, references: Path | None = None) -> dict[str, float]:
    rule: Rule = next(rule for rule in RULES if rule.protocol == protocol)
    loaded = rule.reader(path, references, rule.fields, Options())
    measures = [m for m in rule.score(loaded, Options()).measures if isinstance(m, Measure)]
    groups = [entry.group for entry in loaded.entries]
    return {measure.name: score_measure(measure, groups, draws=2).value for measure in measures}


@pytest.mark.parametrize("later_first", [True, False])
def test_ranks_are_those_of_a_stable_sort(later_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_VALUES", 70)  # several blocks
    generator = np.random.default_rng(0)
    matrix = generator.integers(0, 6, (20, 30)) / 8  # many ties
    right = [np.sort(generator.choice(30, size=1 + n % 4, replace=False)) for n in range(20)]
    found = ranks.rank_right(ranks.block_of_matrix(matrix), right, 30, later_first=later_first)
    for place, (row, columns) in enumerate(zip(matrix, right, strict=True)):
        order = np.argsort(row, kind="stable")[::-1] if later_first else np.argsort(-row, kind="stable")
        assert found.rank[place] == min(np.flatnonzero(order == column)[0] for column in columns)
        wrong = np.delete(row, columns)
        ends = [np.count_nonzero(wrong > row[columns].max()), np.count_nonzero(wrong >= row[columns].max())]
        assert [found.best[place], found.worst[place]] == ends
        assert ends[0] <= found.rank[place] <= ends[1]


@pytest.mark.parametrize("later_first", [True, False])
def test_columns_rank_as_the_rows_of_the_transposed_matrix(later_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_VALUES", 70)
    generator = np.random.default_rng(4)
    matrix, right = generator.integers(0, 6, (20, 30)) / 8, generator.integers(0, 20, 30)
    matrix[right[3], 3] = np.nan
    found = ranks.rank_columns(matrix, right, later_first=later_first)
    rows = ranks.rank_right(ranks.block_of_matrix(matrix.T), right[:, None], 20, later_first=later_first)
    for side in ("rank", "best", "worst"):
        assert np.array_equal(getattr(found, side), getattr(rows, side)) and getattr(found, side)[3] == 20


def test_embeddings_rank_as_their_similarities() -> None:
    generator = np.random.default_rng(1)
    images, texts = generator.normal(size=(12, 8)), generator.normal(size=(60, 8))
    right = group_captions(np.arange(60) // 5, 12)
    matrix = ranks.normalise(images) @ ranks.normalise(texts).T
    blocks = ranks.block_of_embeddings(images, texts), ranks.block_of_matrix(matrix)
    assert np.array_equal(*(ranks.rank_right(block, right, 60, later_first=True).rank for block in blocks))


def test_rows_without_a_right_column_or_with_nan_rank_last() -> None:
    matrix = np.array([[0.1, 0.2], [np.nan, 0.3]])
    right = [np.zeros(0, int), np.array([0])]
    assert ranks.rank_right(ranks.block_of_matrix(matrix), right, 2, later_first=True).rank.tolist() == [2, 2]


def test_recall_counts_any_caption_of_an_image_and_every_caption_once(tmp_path: Path) -> None:
    matrix = np.zeros((3, 15))
    matrix[np.arange(15) // 5, np.arange(15)] = 1.0
    matrix[0, 5] = matrix[1, 0] = 2.0  # caption 0 and image 0 look at each other's neighbours first
    np.save(tmp_path / "sim.npy", matrix)
    scores = score("amfmn", tmp_path / "sim.npy")
    assert scores["i2t R@1"] == pytest.approx(1 / 3) and scores["i2t R@5"] == 1.0
    assert scores["t2i R@1"] == pytest.approx(13 / 15) and scores["t2i R@5"] == 1.0
    assert scores["mR"] == pytest.approx((1 / 3 + 13 / 15 + 4) / 6)


def test_captions_belong_to_the_images_that_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "emb.npz", images=np.eye(2), texts=np.eye(2)[[1, 0, 0]])
    names = tmp_path / "names.txt"
    names.write_text("b.tif\na.tif\na.tif\n")
    assert score("clip_benchmark", tmp_path / "emb.npz", names)["mR"] == pytest.approx(4 / 6)
    names.write_text("a.tif\nb.tif\nb.tif\n")
    loaded = read_similarity(tmp_path / "emb.npz", names, (), Options())
    assert [entry.target for entry in loaded.entries] == [[0], [1, 2]]


def test_what_is_no_similarity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="npy or npz"):
        read_similarity(tmp_path, None, (), Options())
    np.savez(tmp_path / "odd.npz", weights=np.eye(2))
    with pytest.raises(DataError, match="similarity"):
        read_similarity(tmp_path, None, (), Options())
    np.save(tmp_path / "sim.npy", np.zeros((1, 10)))
    with pytest.raises(DataError, match="image a row"):
        read_similarity(tmp_path / "sim.npy", None, (), Options())


def test_rs5m_has_105_descriptions_and_skyscript_two() -> None:
    templates = zeroshot.rs5m_templates()
    assert len(set(templates)) == 105
    assert {"a remote sensing image of many {}.", "a low resolution aerial image of the {}.",
            "a satellite image of a hard to see {}.", "an aerial image of the cool {}."} <= set(templates)  # fmt: skip
    prompts = zeroshot.build_prompts(["Dense_Residential"], zeroshot.SKYSCRIPT_TEMPLATES)
    assert prompts == [["a satellite photo of dense residential.", "a satellite image of dense residential"]]
    named = zeroshot.build_prompts(["SeaLake"], templates[:1], words=zeroshot.EUROSAT_WORDS)
    assert named == [["a remote sensing image of many lake or sea."]]


def test_skyscript_averages_directions_and_rs5m_lengths(tmp_path: Path) -> None:
    """One long description outweighs the others only where lengths are kept."""
    texts = np.array([[[9.0, 0], [0, 1]], [[1, 1], [1, 1]]])
    np.savez(tmp_path / "emb.npz", images=np.array([[1.0, 0.9], [1, 0.1]]), texts=texts, labels=[1, 0])
    assert score("rs5m", tmp_path / "emb.npz")["accuracy"] == 1.0
    assert score("skyscript", tmp_path / "emb.npz")["accuracy"] == 0.5


def test_scenes_are_scored_from_class_scores_and_from_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "logits.npz", logits=np.array([[0.2, 0.8], [0.9, 0.1], [0.3, 0.7]]), labels=[1, 0, 0])
    scores = score("skyscript", tmp_path / "logits.npz")
    assert scores["accuracy"] == pytest.approx(2 / 3) and scores["mean class accuracy"] == 0.75
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"prediction": "Dense residential.", "label": "dense_residential"}\n{"prediction": "", "label": "a"}'
    )
    assert score("skyscript", rows)["accuracy"] == 0.5
