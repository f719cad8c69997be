"""What is no number or a spike is left out, counted, and ends the run when there is too much of it."""

from __future__ import annotations

import math

import pytest

from train.guard import WARM, Guard, TrainingError


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_passes(loss: float) -> None:
    assert not Guard(0.0, 3).passes(loss)


def test_a_spike_is_one_beside_the_recent_loss() -> None:
    guard = Guard(spike=3.0, most=5)
    assert guard.passes(1e6), "nothing is a spike before there is a mean"
    for step in range(WARM):
        guard.note(step, 2.0, whole=True)
    assert guard.passes(5.9)
    assert not guard.passes(6.1)
    assert Guard(0.0, 5, guard.mean, guard.seen).passes(1e6), "0 lets every finite loss pass"


def test_too_many_of_late_end_the_run_with_a_sentence() -> None:
    guard = Guard(0.0, most=3)
    guard.note(1, math.nan, whole=False)
    guard.note(2, 1.0, whole=True)
    guard.note(90, math.nan, whole=False)
    guard.note(150, math.nan, whole=False)
    assert guard.skipped == 3, "the first is long ago"
    with pytest.raises(TrainingError, match=r"stopped at step 160: 3 of the last 100 steps had a loss .* lower the"):
        guard.note(160, math.nan, whole=False)


def test_it_goes_on_where_it_stopped() -> None:
    first, second = Guard(2.0, 4), Guard(2.0, 4)
    first.note(1, 0.5, whole=True)
    first.note(2, math.inf, whole=False)
    second.restore(first.state())
    assert second == first
