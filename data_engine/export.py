"""Samples -> a file of one of the formats people have (data_engine.formats), with a ledger that adds up.

Such files have one beginning and one end, so an export is not cut into units: it is written anew each time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from data_engine.formats import Format, Writing
from data_engine.progress import Progress
from data_engine.stage import StageOptions, Unit, Work
from data_engine.store.ledger import Ledger
from data_engine.store.manifest import REJECTED
from vlm.errors import DataError
from vlm.output import write_text

LOG = logging.getLogger("nadir.data")


def export_samples(
    units: Iterable[Unit],
    work: Work,
    format: Format,
    out: Path,
    *,
    writing: Writing,
    options: StageOptions,
    total: int | None = None,
) -> Ledger:
    """Write the samples that `work` makes of the units in a format and give the ledger.

    What the format cannot hold is dropped with the reason; rejected.jsonl then lies in the folder `out`, or beside the
    file. Raises DataError for a folder that is not empty, and above max_rejects.
    """
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out} is not empty: name a folder that is empty or new, or a file")
    ledger, began = Ledger(max_rejects=options.max_rejects), time.monotonic()
    if options.dry_run:
        LOG.info("convert would write %d samples to %s; nothing is touched", sum(unit.size for unit in units), out)
        return Ledger()

    def cannot_hold(error: DataError) -> None:
        ledger.drop(f"not in {format.name}", str(error), fault=False)

    with Progress("convert", total) as progress:
        ledger.tick = progress.advance
        try:
            samples = (sample for unit in units for sample in work(unit, ledger))
            ledger.kept = format.write(samples, out, replace(writing, on_error=cannot_hold))
        finally:
            _write_rejected(out, ledger)
    ledger.seconds = time.monotonic() - began
    ledger.require_balance("convert")
    LOG.info("%s", ledger.render("convert"))
    return ledger


def _write_rejected(out: Path, ledger: Ledger) -> None:
    if ledger.rejected:
        path = out / REJECTED if out.is_dir() else out.with_name(f"{out.stem}.{REJECTED}")
        write_text(path, ledger.render_rejected())
