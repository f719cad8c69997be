"""refGeo (GeoGround): the test and validation sets of RSVG, DIOR-RSVG, GeoChat, VRSBench and AVVG as JSON lines.

The sets that are there are asked, each a category; GeoChat's, VRSBench's and AVVG's have oriented boxes of their own
(the protocol `obb`). Records may be wrapped over lines; some images are .png where the record says .jpg.
"""

from __future__ import annotations

from typing import Any, Final

from eval_suites.baselines import RANDOM
from eval_suites.suites.asking import ask, box_of, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder

SETS: Final = (
    "dior_rsvg_test", "dior_rsvg_val", "rsvg_test", "rsvg_val", "geochat_test", "vrsbench_test", "avvg_test",
)  # fmt: skip


def load(folder: Folder) -> Questions:
    """Read every set that is there."""
    present = [name for name in SETS if folder.has(f"metainfo/{name}.jsonl")]
    if not present:
        raise folder.refuse(f"has none of metainfo/{', '.join(SETS)}.jsonl")
    cases = []
    for name in present:
        place = f"images/{name.rpartition('_')[0]}"
        for number, row in enumerate(folder.rows(f"metainfo/{name}.jsonl")):
            cases.append(
                ask(
                    f"{name}/{row.get('question_id', number)}",
                    [folder.image(row["image_id"], place, f"images/{name}")],
                    f"Give the bounding box of: {row['question']}",
                    category=name,
                    regions=[(row["question"], box_of(row["bbox"]))],
                    form="box",
                    phrase=row["question"],
                    truth=row["bbox"],
                    values=_polygon(row),
                )
            )
    return Questions(number_twins(cases), split="test and val")


def _polygon(row: dict[str, Any]) -> dict[str, Any]:
    return {"poly": row["poly"]} if row.get("poly") else {}


BENCHMARK: Final = Benchmark(
    name="refgeo",
    title="refGeo, five referring sets",
    layout="metainfo/<set>_test.jsonl and images/<set>/, for any of its sets",
    get="https://huggingface.co/datasets/erenzhou/refGeo",
    licence="none stated; images under their datasets' terms",
    about=__doc__,
    load=load,
    baselines=(RANDOM,),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
