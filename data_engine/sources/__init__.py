"""Public datasets in their official layouts -> samples: one file per dataset, and the dict of them."""

from __future__ import annotations

from typing import Final

from data_engine.sources import (
    bigearthnet,
    chatearthnet,
    coco,
    dior,
    dior_rsvg,
    dota,
    dsifn,
    earthreason,
    earthvqa,
    epfl_roads,
    eurosat,
    fair1m,
    floodnet,
    folder_scenes,
    hit_uav,
    hrsc2016,
    hrsid,
    inria,
    isaid,
    landcover_ai,
    levir_cd,
    loveda,
    lrs_vqa,
    mstar,
    neontree,
    nwpu_captions,
    opt_rsvg,
    oscd,
    refsegrs,
    roads,
    rrsis_d,
    rs5m,
    rsicd,
    rsitmd,
    rsivqa,
    rsscn7,
    rsteller,
    rsvg,
    rsvlm_qa,
    rsvqa,
    sar_ottawa,
    sen12,
    skyscript,
    so2sat,
    spacenet,
    ssdd,
    sydney,
    sztaki,
    ucm,
    voc,
    xview,
    yolo,
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
        dior.SOURCE,
        dior_rsvg.SOURCE,
        opt_rsvg.SOURCE,
        fair1m.SOURCE,
        hrsc2016.SOURCE,
        xview.SOURCE,
        loveda.SOURCE,
        landcover_ai.SOURCE,
        ucm.SOURCE,
        sydney.SOURCE,
        rsitmd.SOURCE,
        nwpu_captions.SOURCE,
        rs5m.SOURCE,
        skyscript.SOURCE,
        chatearthnet.SOURCE,
        rsteller.SOURCE,
        rsivqa.SOURCE,
        earthvqa.SOURCE,
        floodnet.SOURCE,
        lrs_vqa.SOURCE,
        rsvlm_qa.SOURCE,
        mstar.SOURCE,
        sen12.SOURCE,
        so2sat.SOURCE,
        bigearthnet.SOURCE,
        eurosat.SOURCE,
        spacenet.SOURCE,
        rsvg.SOURCE,
        rrsis_d.SOURCE,
        refsegrs.SOURCE,
        earthreason.SOURCE,
        inria.SOURCE,
        roads.SOURCE,
        ssdd.SOURCE,
        coco.SOURCE,
        yolo.SOURCE,
        voc.SOURCE,
        folder_scenes.SOURCE,
    )
}


def find_source(name: str) -> Source:
    """Give the source of that name; an unknown name raises DataError that lists the known ones."""
    if name not in SOURCES:
        raise DataError(f"no source {name!r}: known are {', '.join(SOURCES)}")
    return SOURCES[name]
