"""XLRS-Bench-lite: 3,080 multiple choice questions on images of 8,500 px and more, 13 tasks.

Asked with the prompt of lmms-eval's task (EvolvingLMMs-Lab/lmms-eval, tasks/xlrs), which differs for the one task with
several right letters. Its Parquet files hold the images themselves; those that are asked about are unpacked once, into
images/ of the same folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from eval_suites.baselines import MAJORITY_OF_TEST, RANDOM
from eval_suites.cases import Case
from eval_suites.suites.asking import ask, number_twins, read_options
from eval_suites.suites.benchmark import Benchmark, Questions
from eval_suites.suites.folder import Folder
from vlm.output import write_bytes

SEVERAL: Final = "Land use classification/Overall Land use classification"
ONE_TAIL: Final = (
    "\nSelect the best answer for the multiple-choice question based on the image. Only respond with the letter "
    "corresponding to the correct answer (A, B, C, D).\nThe answer is:"
)
SEVERAL_TAIL: Final = (
    "\nSelect the best answer(s) for the multiple-choice question based on the image. There may be more than one "
    "correct option. Only respond with the letter(s) corresponding to the correct answer(s) (A, B, C, D), with "
    "multiple choices separated by spaces.The answer(s) is(are):"
)
CHOICES: Final = "multi-choice options"


def word_question(question: str, options: Iterable[str], category: str) -> str:
    """Give the prompt of lmms-eval."""
    tail = SEVERAL_TAIL if category == SEVERAL else ONE_TAIL
    return f"{question}The choices are listed below:\n" + "\n".join(options) + f"\n{tail}"


def load(folder: Folder) -> Questions:
    """Read the questions; the images stay in the files until `unpack` is asked for them."""
    cases = []
    for number, (row, images) in enumerate(_rows(folder)):
        category, options = str(row["category"]), list(row[CHOICES])
        name = str(row.get("path") or number)
        cases.append(
            ask(
                row.get("index", number),
                [str(folder.root / "images" / _file(name, place)) for place in range(images)],
                word_question(str(row["question"]), options, category),
                answers=[row["answer"]],
                category=category,
                options=read_options(options),
                group=name,
                values={"l2-category": row.get("l2-category") or ""},
            )
        )
    return Questions(number_twins(cases), split="lite")


def unpack(folder: Folder, cases: Iterable[Case]) -> None:
    """Write the images of cases that are not there yet, byte for byte as they are stored."""
    wanted = {path for case in cases for path in case.images if not Path(path).exists()}
    for number, (row, _) in enumerate(_rows(folder, packed=True) if wanted else ()):
        stored = row["image"] if isinstance(row["image"], list) else [row["image"]]
        for place, image in enumerate(stored):
            path = folder.root / "images" / _file(str(row.get("path") or number), place)
            if str(path) in wanted:
                write_bytes(path, image["bytes"])
                wanted.discard(str(path))


def _file(name: str, place: int) -> str:
    """Name an unpacked image: a file name like its path, and which of the question's images it is."""
    return f"{Path(name).with_suffix('').as_posix().replace('/', '__')}{f'-{place + 1}' if place else ''}.jpg"


def _rows(folder: Folder, *, packed: bool = False) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield records and the number of images of each; the images' bytes only where they are asked for (`packed`)."""
    from pyarrow import compute, types

    for batch in _batches(folder, packed=packed):
        images = batch.column("image")
        counts = compute.list_value_length(images).to_pylist() if types.is_list(images.type) else [1] * len(images)
        kept = batch if packed else batch.drop_columns(["image"])
        yield from zip(kept.to_pylist(), counts, strict=True)


def _batches(folder: Folder, *, packed: bool) -> Iterator[Any]:
    """Yield record batches of all files, a few rows in memory at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    files = folder.files("*.parquet") or folder.files("*.arrow")
    if not files:
        raise folder.refuse("holds no .parquet and no .arrow file")
    for path in files:
        if path.suffix == ".arrow":
            yield from pa.ipc.open_stream(pa.memory_map(str(path)))
            continue
        with parquet.ParquetFile(path) as file:
            names = [file.schema.column(place).path for place in range(len(file.schema))]
            chosen = names if packed else [name for name in names if not name.endswith(".bytes")]
            yield from file.iter_batches(batch_size=4 if packed else 1024, columns=chosen)


BENCHMARK: Final = Benchmark(
    name="xlrs",
    title="XLRS-Bench-lite, multiple choice on very large images",
    layout="the Parquet or Arrow files of initiacms/XLRS-Bench-lite",
    get="hf download initiacms/XLRS-Bench-lite --repo-type dataset --local-dir FOLDER (43 GB)",
    licence="annotations CC BY-NC-SA 4.0",
    about=__doc__,
    load=load,
    prepare=unpack,
    baselines=(RANDOM, MAJORITY_OF_TEST),
    probes=("options", "brightness", "jpeg", "shift"),
)
