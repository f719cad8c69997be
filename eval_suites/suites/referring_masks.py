"""RRSIS-D, RISBench and RefSegRS: referring phrases with one mask, every sentence a question.

RRSIS-D and RISBench come in the layout of the refer API (a pickle of references beside a COCO file), RefSegRS as lines
`<id> <phrase>` beside two folders. Official test sets: 3,481, 16,158 and 1,817 sentences. The protocol rmsin
measures on the mask's own pixels, rmsin-480 on 480 x 480 as the source does.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from eval_suites.baselines import EVERYTHING, RANDOM
from eval_suites.masks import translate_mask
from eval_suites.suites.asking import ask, number_twins
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder
from vlm.errors import DataError
from vlm.plain_pickle import load_plain_pickle


def load_refer(folder: Folder, *, place: str) -> Questions:
    """Read the test sentences of a refer layout; masks stay run lengths or polygons until they are scored."""
    content = folder.json("instances.json", f"{place}/instances.json")
    sizes = {row["id"]: (int(row["width"]), int(row["height"])) for row in content["images"]}
    files = {row["id"]: row["file_name"] for row in content["images"]}
    annotations = {row["id"]: row for row in content["annotations"]}
    cases = []
    for reference in _load_references(folder.file("refs(unc).p", f"{place}/refs(unc).p", "refs*.p")):
        if reference["split"] != "test":
            continue
        annotation = annotations[reference["ann_id"]]
        image = annotation["image_id"]
        for sentence in reference["sentences"]:
            text = str(sentence.get("raw") or sentence.get("sent"))
            cases.append(
                ask(
                    sentence.get("sent_id", reference["ref_id"]),
                    [folder.image(files[image], f"images/{place}/JPEGImages", "JPEGImages", "images")],
                    f"Segment: {text}",
                    form="mask",
                    phrase=text,
                    truth=encode_stored(annotation["segmentation"], sizes[image]),
                    sizes=[sizes[image]],
                )
            )
    return Questions(number_twins(cases))


def _load_references(path: Path) -> list[dict[str, Any]]:
    content = load_plain_pickle(path)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise DataError(f"{path} holds {type(content).__name__}: expected a list of references")
    return content


def encode_stored(stored: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Give a COCO segmentation (run lengths, a list of one, or polygons) as run lengths."""
    from pycocotools import mask

    if isinstance(stored, list) and stored and isinstance(stored[0], dict):
        stored = stored[0]
    if isinstance(stored, dict):
        return {"size": stored["size"], "counts": stored["counts"]}
    merged = mask.merge(mask.frPyObjects(stored, size[1], size[0]))
    return {"size": [size[1], size[0]], "counts": merged["counts"].decode()}


def load_refsegrs(folder: Folder) -> Questions:
    """Read the test lines of RefSegRS."""
    cases = []
    lines = folder.file("output_phrase_test.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(line for line in lines if line.strip()):
        name, _, phrase = line.strip().partition(" ")
        mask = folder.file(f"masks/{name}.tif", f"masks/{name}.png")
        images = [folder.image(f"{name}.tif", "images")]
        cases.append(ask(number, images, f"Segment: {phrase}", form="mask", phrase=phrase, truth=str(mask), group=name))
    return Questions(tuple(cases))


_mask_benchmark = partial(
    Benchmark,
    licence="none stated; research use",
    about=__doc__ or "",
    tokens=1024,
    translate=translate_mask,
    baselines=(RANDOM, EVERYTHING),
    probes=("flip", "turn", "brightness", "jpeg", "shift"),
)
RRSISD: Final = _mask_benchmark(
    name="rrsisd",
    title="RRSIS-D",
    layout="rrsisd/refs(unc).p, rrsisd/instances.json and images/rrsisd/JPEGImages/*.jpg",
    get="https://github.com/Lsan2401/RMSIN",
    load=partial(load_refer, place="rrsisd"),
)
RISBENCH: Final = _mask_benchmark(
    name="risbench",
    title="RISBench",
    layout="risbench/refs(unc).p, risbench/instances.json and images/risbench/JPEGImages/*.jpg",
    get="https://github.com/HIT-SIRS/CroBIM",
    load=partial(load_refer, place="risbench"),
)
REFSEGRS: Final = _mask_benchmark(
    name="refsegrs",
    title="RefSegRS",
    layout="images/<id>.tif, masks/<id>.tif and output_phrase_test.txt",
    get="https://huggingface.co/datasets/JessicaYuan/RefSegRS",
    load=load_refsegrs,
)
