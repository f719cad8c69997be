"""Suites: those of the public sample data (own.py) and the field's benchmarks, one short file each, by their names.

`SUITES` are run on cases that data_engine.cases writes; `BENCHMARKS` read the official files of a folder that the user
names. `find_suite` gives the first kind, `find_benchmark` the second.
"""

from __future__ import annotations

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
)
from eval_suites.suites.benchmark import Benchmark
from eval_suites.suites.own import SUITES
from eval_suites.suites.suite import Suite
from vlm.errors import DataError

__all__ = ["BENCHMARKS", "SUITES", "Benchmark", "Suite", "find_benchmark", "find_suite"]

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
        embeddings.ZEROSHOT,
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
    if name in SUITES:
        return SUITES[name]
    if name in BENCHMARKS:
        raise DataError(f"{name} reads its official files: name their folder with --data; {BENCHMARKS[name].get}")
    raise DataError(f"no suite {name!r}: known are {', '.join(SUITES)}")


def find_benchmark(name: str) -> Benchmark:
    """Give the benchmark of that name; an unknown name raises DataError that lists the known ones."""
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    raise DataError(f"no benchmark {name!r}: known are {', '.join(BENCHMARKS)}")
