"""GeoChat-Bench, referring: 7,593 phrases, each with the polygons of one object or several.

GeoChat's own scorer is not released. EarthDial's precision compares boxes of whole numbers of hundredths and degrees,
so targets and answers are written in that form for it; the other protocols compare polygons in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from eval_suites.baselines import RANDOM
from eval_suites.cases import Case
from eval_suites.images import frames
from eval_suites.suites.asking import ask, number_twins, polygon_of
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder
from vlm.codecs import parse_text
from vlm.geometry import Geometry, to_obb, to_quad

HUNDREDTHS: Final = ("earthdial", "xbd")
"""Protocols that read whole numbers in square brackets."""


def load(folder: Folder) -> Questions:
    """Read the phrases; images are named without their suffix."""
    cases = []
    for row in folder.rows("referring.jsonl"):
        shapes = [polygon_of(flat(shape)) for shape in row["ground_truth"]]
        cases.append(
            ask(
                row["question_id"],
                [folder.image(f"{row['image_id']}.png", "images", "final_images_llava")],
                f"Give the oriented bounding boxes of {row['question']}.",
                category=row.get("type", "ref"),
                regions=[(row["question"], shape) for shape in shapes],
                form="obb" if len(shapes) == 1 else "obbs",
                phrase=row["question"],
                values={"size_group": row.get("size_group", ""), "obj_count": "one" if len(shapes) == 1 else "several"},
            )
        )
    return Questions(number_twins(cases))


def flat(shape: Sequence[Any]) -> list[float]:
    """Give the numbers of a polygon that is written as points or as one list."""
    return [float(x) for point in shape for x in (point if isinstance(point, list | tuple) else [point])]


def translate(case: Case, output: str | None, dialect: str, protocol: str) -> tuple[Any, Any]:
    """Give boxes as EarthDial writes them ([x1, y1, x2, y2, degrees] in hundredths), or corners in pixels."""
    sizes = frames(case)
    found = [region.geometry for region in parse_text(output or "", sizes=sizes, dialect=dialect).regions]
    wanted = [region.geometry for region in case.regions]
    if protocol in HUNDREDTHS:
        written = [" ".join(write_hundredths(shape, sizes[0]) for shape in shapes) for shapes in (found, wanted)]
        return None if output is None else written[0], written[1]
    corners = [[_corners(shape) for shape in shapes] for shapes in (found, wanted)]
    return None if output is None else corners[0], corners[1]


def write_hundredths(shape: Geometry, size: tuple[int, int]) -> str:
    """Write a shape as the unturned box about its centre and the angle, counter-clockwise on the screen, 0 to 90."""
    box = to_obb(shape)
    sides, angle = (box.w, box.h), -box.angle_deg % 180
    if angle >= 90:
        sides, angle = sides[::-1], angle - 90
    scales = (100 / size[0], 100 / size[1])
    centre = (box.cx * scales[0], box.cy * scales[1])
    half = (sides[0] * scales[0] / 2, sides[1] * scales[1] / 2)
    numbers = [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]]
    return str([max(0, min(100, round(number))) for number in numbers] + [round(angle)])


def _corners(shape: Geometry) -> list[float]:
    return [float(number) for corner in to_quad(shape) for number in corner]


BENCHMARK: Final = Benchmark(
    name="geochat-refer",
    title="GeoChat-Bench, referring, oriented boxes",
    layout="referring.jsonl and the images of GeoChat_Instruct",
    get="https://huggingface.co/datasets/MBZUAI/GeoChat-Bench and https://huggingface.co/datasets/MBZUAI/GeoChat_Instruct",
    licence="annotations Apache-2.0; images under their datasets' terms",
    about=__doc__,
    load=load,
    tokens=256,
    translate=translate,
    baselines=(RANDOM,),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
