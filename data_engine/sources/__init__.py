"""Public datasets in their official layouts -> samples: one file per dataset, and the dict of them."""

from __future__ import annotations

from typing import Final

from data_engine.sources import (
    dota,
    dsifn,
    epfl_roads,
    hit_uav,
    hrsid,
    isaid,
    levir_cd,
    neontree,
    oscd,
    rsicd,
    rsscn7,
    rsvqa,
    sar_ottawa,
    sztaki,
)
from data_engine.sources.source import Source
from vlm.errors import DataError

__all__ = ["SOURCES", "Source", "find_source"]

SOURCES: Final[dict[str, Source]] = {
    source.name: source
    for source in (
        rsicd.SOURCE,
        rsvqa.SOURCE,
        hit_uav.SOURCE,
        levir_cd.SOURCE,
        dsifn.SOURCE,
        sztaki.SOURCE,
        sar_ottawa.SOURCE,
        oscd.SOURCE,
        epfl_roads.SOURCE,
        isaid.SOURCE,
        hrsid.SOURCE,
        dota.SOURCE,
        neontree.SOURCE,
        rsscn7.SOURCE,
    )
}


def find_source(name: str) -> Source:
    """Give the source of that name; an unknown name raises DataError that lists the known ones."""
    if name not in SOURCES:
        raise DataError(f"no source {name!r}: known are {', '.join(SOURCES)}")
    return SOURCES[name]
