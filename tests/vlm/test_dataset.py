"""What rasterio warns of is kept from users, in as many threads as read at once."""

from __future__ import annotations

import warnings
from threading import Barrier, Thread

import pytest
from rasterio.errors import NotGeoreferencedWarning

from vlm.dataset import quiet


def test_a_thread_that_leaves_takes_no_silence_from_another() -> None:
    entered, left, said = Barrier(2), Barrier(2), []

    def first() -> None:
        with quiet():
            entered.wait()
        left.wait()

    def second() -> None:
        with quiet():
            entered.wait()
            left.wait()
            try:
                warnings.warn("no georeference", NotGeoreferencedWarning, stacklevel=1)
            except NotGeoreferencedWarning as warning:
                said.append(warning)

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not said
    with pytest.warns(NotGeoreferencedWarning):
        warnings.warn("no georeference", NotGeoreferencedWarning, stacklevel=1)
