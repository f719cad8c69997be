"""Suites: those of the public sample data (own.py) and the field's benchmarks, one short file each, by their names.

`SUITES` are run on cases that data_engine.cases writes, `LABELLED` on those of `nadir finetune`; `BENCHMARKS` read the
official files of a folder that the user names; `FILES_ALONE` score files that others wrote. `find_suite` gives the
first two kinds, `find_benchmark` the third.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from eval_suites.suites import (
    captions,
    cdvqa,
    change_captions,
    change_mask,
    changechat,
    choice,
    dota_text,
    earthreason,
    earthvqa,
    embeddings,
    geobench,
    geochat_refer,
    geochat_scene,
    lrsvqa,
    mme_rs,
    referring_masks,
    refgeo,
    rsvg,
    rsvlm_qa,
    rsvqa,
    vleo,
    vrsbench,
    xlrs,
    zeroshot,
)
from eval_suites.suites.benchmark import Benchmark
from eval_suites.suites.files_alone import FILES_ALONE, FileSuite
from eval_suites.suites.labelled import LABELLED
from eval_suites.suites.own import SUITES
from eval_suites.suites.suite import Suite
from vlm.errors import DataError

__all__ = [
    "BENCHMARKS", "FILES_ALONE", "LABELLED", "SUITES", "Benchmark", "FileSuite", "Suite", "find_benchmark",
    "find_suite", "refuse_suite",
]  # fmt: skip

BENCHMARKS: Final[dict[str, Benchmark]] = {
    benchmark.name: benchmark
    for benchmark in (
        xlrs.BENCHMARK,
        mme_rs.BENCHMARK,
        lrsvqa.BENCHMARK,
        geochat_scene.BENCHMARK,
        rsvqa.LOW,
        rsvqa.HIGH,
        geochat_refer.BENCHMARK,
        vrsbench.CAPTIONS,
        vrsbench.REFERRING,
        vrsbench.QUESTIONS,
        rsvg.DIOR,
        rsvg.OPT,
        refgeo.BENCHMARK,
        referring_masks.RRSISD,
        referring_masks.REFSEGRS,
        referring_masks.RISBENCH,
        earthreason.BENCHMARK,
        dota_text.BENCHMARK,
        captions.RSICD,
        captions.UCM,
        captions.SYDNEY,
        captions.NWPU,
        embeddings.RSITMD,
        embeddings.RSICD,
        embeddings.UCM,
        zeroshot.BENCHMARK,
        change_captions.LEVIR,
        change_captions.DUBAI,
        change_captions.SECOND,
        cdvqa.CDVQA,
        cdvqa.QAG,
        changechat.BENCHMARK,
        change_mask.BENCHMARK,
        choice.BENCHMARK,
        earthvqa.BENCHMARK,
        rsvlm_qa.BENCHMARK,
        geobench.BENCHMARK,
        vleo.BENCHMARK,
    )
}


def find_suite(name: str) -> Suite:
    """Give the suite of that name; an unknown name raises DataError that lists the known ones."""
    if name in SUITES or name in LABELLED:
        return SUITES[name] if name in SUITES else LABELLED[name]
    if name in BENCHMARKS:
        raise DataError(f"{name} reads its official files: name their folder with --data; {BENCHMARKS[name].get}")
    raise refuse_suite(name, tuple(SUITES))


def find_benchmark(name: str) -> Benchmark:
    """Give the benchmark of that name; an unknown name raises DataError that lists the known ones."""
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    raise refuse_suite(name, tuple(BENCHMARKS))


def refuse_suite(name: str, known: tuple[str, ...]) -> DataError:
    """Build the error of a name that is not among the known ones: how it is scored, or which names are near."""
    if name in FILES_ALONE:
        return DataError(f"{name} is scored from files alone: python -m eval_suites score FILE --suite {name}")
    near = get_close_matches(name, known, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return DataError(f"no suite {name!r}{meant}: known are {', '.join(known)}")
