"""Cross-modal retrieval: recall at 1, 5 and 10 both ways, and the mean of the six.

An image is found by any of its captions; a caption finds one image. Identical captions of different images stay
separate. Equal similarities rank as in the source: AMFMN lets the later come first, clip_benchmark the earlier.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from eval_suites.measure import Measure
from eval_suites.readers.loaded import Loaded, Options
from eval_suites.readers.similarity import read_similarity
from eval_suites.rules.ranks import Block, Ranks, rank_columns, rank_right
from eval_suites.rules.rule import Rule, Scores
from eval_suites.scored import Row, Ties

STEPS = (1, 5, 10)
SIDES = ("i2t", "t2i")


def score_retrieval(loaded: Loaded, options: Options, *, later_first: bool) -> Scores:
    """Score recall both ways. An entry is an image; one without a prediction is a miss, and so are its captions."""
    del options
    owners, captions = np.asarray(loaded.extras["owners"]), loaded.extras["captions"]
    forth = rank_right(loaded.extras["by_image"], captions, len(owners), later_first=later_first)
    back = _rank_captions(loaded.extras["by_caption"], owners, len(captions), later_first=later_first)
    parts = _count_hits(loaded, forth.rank, back.rank)
    rows = []
    for place, entry in enumerate(loaded.entries):
        if entry.prediction is None:
            rows.append(Row("", f"captions {entry.target}", 0.0, "no similarities", unparsed=True))
            continue
        rank = int(forth.rank[entry.prediction])
        words = f"best caption at rank {rank + 1}, {parts[place, 6]:.0f} of {len(entry.target)} captions find it in 10"
        rows.append(Row(f"rank {rank + 1}", f"captions {entry.target}", float(rank < 1), words))
    measures = [Measure("mR", parts, _mean_recall)]
    measures += [
        Measure(f"{side} R@{step}", parts, partial(_recall, column=4 * offset + place, total=4 * offset + 3))
        for offset, side in enumerate(SIDES)
        for place, step in enumerate(STEPS)
    ]
    return Scores(tuple(rows), tuple(measures), ties=(_ties(loaded, forth, back, later_first=later_first),))


def _count_hits(loaded: Loaded, forth: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Count the hits of each entry at 1, 5 and 10, and its questions, both ways: (n, 8)."""
    parts = np.zeros((len(loaded.entries), 8))
    for place, entry in enumerate(loaded.entries):
        parts[place, 3], parts[place, 7] = 1, len(entry.target)
        if entry.prediction is not None:
            parts[place, :3] = [forth[entry.prediction] < step for step in STEPS]
            parts[place, 4:7] = [np.count_nonzero(back[entry.target] < step) for step in STEPS]
    return parts


def _ties(loaded: Loaded, forth: Ranks, back: Ranks, *, later_first: bool) -> Ties:
    """Count the images and captions whose right one has an equal beside it that is wrong."""
    asked = [entry for entry in loaded.entries if entry.prediction is not None]
    captions = [caption for entry in asked for caption in entry.target]
    count = sum(int(forth.worst[entry.prediction] > forth.best[entry.prediction]) for entry in asked)
    count += int(np.count_nonzero(back.worst[captions] > back.best[captions]))
    ends = [
        float(_mean_recall(_count_hits(loaded, *sides).sum(axis=0)))
        for sides in ((forth.worst, back.worst), (forth.best, back.best))
    ]
    words = f"of equal similarities the {'later' if later_first else 'earlier'} one ranks first"
    return Ties("mR", words, count, *ends)


def _rank_captions(by_caption: Block | np.ndarray, owners: np.ndarray, images: int, *, later_first: bool) -> Ranks:
    """Rank each caption's image: in the columns of a matrix, or in blocks of a product of embeddings."""
    if isinstance(by_caption, np.ndarray):
        return rank_columns(by_caption, owners, later_first=later_first)
    return rank_right(by_caption, list(owners[:, None]), images, later_first=later_first)


def _recall(sums: np.ndarray, *, column: int, total: int) -> np.ndarray:
    value: np.ndarray = sums[..., column] / np.maximum(1, sums[..., total])
    return value


def _mean_recall(sums: np.ndarray) -> np.ndarray:
    both = [_recall(sums, column=4 * side + step, total=4 * side + 3) for side in range(2) for step in range(3)]
    mean: np.ndarray = np.mean(both, axis=0)
    return mean


_retrieval_rule = partial(
    Rule, suites=("retrieval-rsitmd", "retrieval-rsicd", "retrieval-ucm"), headline="mR", reader=read_similarity
)

RULES: tuple[Rule, ...] = (
    _retrieval_rule(
        protocol="amfmn",
        source=(
            "xiaoyuan1996/AMFMN utils.py acc_i2t2, acc_t2i2: an image is found by any of its five captions; mR is the "
            "mean of R@1, 5, 10 both ways; equal similarities rank in reversed order"
        ),
        score=partial(score_retrieval, later_first=True),
        aliases=("AMFMN mR", "mR"),
    ),
    _retrieval_rule(
        protocol="clip_benchmark",
        source=(
            "ChenDelong1999/RemoteCLIP retrieval.py and om-ai-lab/RS5M, clip_benchmark recall_at_k > 0; equal "
            "similarities rank in order, as the first of them do in torch.topk"
        ),
        score=partial(score_retrieval, later_first=False),
        aliases=("remoteclip", "rs5m", "georsclip"),
    ),
)
