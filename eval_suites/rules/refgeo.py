"""refGeo (GeoGround): Acc@.5 of horizontal boxes and, where the rows have polygons, of oriented ones."""

from __future__ import annotations

from dataclasses import replace

from eval_suites.readers.loaded import Field, Loaded, Options
from eval_suites.rules.boxes import BOX_TARGET, GROUPS, BoxProtocol, overlap_exact, read_plain, score_boxes
from eval_suites.rules.oriented import score_obb
from eval_suites.rules.overlap import reaches
from eval_suites.rules.rule import Rule, Scores
from eval_suites.rules.shape_values import SIZE_FIELDS

HORIZONTAL = BoxProtocol(read_plain, overlap_exact, reaches, (0.5, 0.7))
POLYGON = ("poly", "polygon", "obb", "rbox", "gt_poly")


def score_refgeo(loaded: Loaded, options: Options) -> Scores:
    """Score the first box of each answer against the object's box, and against its polygon where the row has one."""
    horizontal = score_boxes(loaded, options, protocol=HORIZONTAL)
    turned = [entry for entry in loaded.entries if "poly" in entry.values]
    if len(turned) != len(loaded.entries) or not turned:
        return horizontal
    polygons = tuple(replace(entry, target=entry.values["poly"]) for entry in turned)
    oriented = score_obb(replace(loaded, entries=polygons), options)
    renamed = tuple(replace(measure, name=f"{measure.name} OBB") for measure in oriented.measures)
    return replace(horizontal, measures=(*horizontal.measures, *renamed))


RULES: tuple[Rule, ...] = (
    Rule(
        suites=("refgeo",),
        protocol="acc",
        source=(
            "zytx121/GeoGround (README), GeoBox-R1: IoU of the first box >= 0.5, without an added pixel; polygon IoU "
            "beside where all rows have a polygon; Acc@.7 and mean IoU as GeoBox-R1"
        ),
        headline="Acc@.5",
        score=score_refgeo,
        fields=(BOX_TARGET, Field("poly", POLYGON), *GROUPS, *SIZE_FIELDS),
        aliases=("Acc@.5", "Acc@.5 >= HBB/OBB", "hbb", "geoground"),
    ),
    Rule(
        suites=("refgeo",),
        protocol="obb",
        source="GeoGround, GeoBox-R1: polygon IoU of the first oriented box, corners sorted by angle, >= 0.5 and 0.7",
        headline="Acc@.5",
        score=score_obb,
        fields=(Field("target", (*POLYGON, "ground_truth", "gt", "bbox")), *GROUPS, *SIZE_FIELDS),
        aliases=("Acc@.5 OBB",),
    ),
)
