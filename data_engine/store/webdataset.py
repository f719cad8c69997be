"""WebDataset tars of image-text pairs: key.jpg, key.txt and key.json, for open_clip and other contrastive trainers.

    000000000012.jpg    the image as it was (or .png, .tif ...)
    000000000012.txt    the caption, a line of text
    000000000012.json   id, source, split, licence, instruction, and what is known of the image

A pair is a sample of one image with caption turns; each caption is a pair of its own. Images stay as they are encoded;
`datasets` wants one suffix in a tar, open_clip does not. The tars hold no times and no names of users, so the same
samples give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_engine.store.images import embed_image, suffix_of
from data_engine.store.ledger import Ledger
from data_engine.store.writer import Writer
from vlm.codecs import Slot, split_template
from vlm.errors import DataError
from vlm.records import Answer, Sample


def split_pairs(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
    """Yield a sample of one image and one caption for each caption turn; drop a sample that has none.

    Raises ImageFaultError when the image cannot be read.
    """
    captions = [turn for turn in sample.turns if (turn.answer.task or sample.task) == "caption"]
    if len(sample.images) != 1 or not captions:
        detail = f"{len(sample.images)} images, {len(captions)} captions, task {sample.task}"
        ledger.drop("no image-text pair", detail, sample.id, fault=False)
        return
    image = embed_image(sample.images[0])
    for turn in captions:
        if write_caption(turn.answer):
            yield replace(sample, images=(image,), turns=(turn,))
        else:
            ledger.drop("empty caption", repr(turn.answer.template), sample.id, fault=False)


def write_caption(answer: Answer) -> str:
    """Write an answer as plain words on one line; of a slot that names its regions, their phrases stay.

    Raises DataError for a template that is none.
    """
    words = [_phrases(piece, answer) if isinstance(piece, Slot) else piece for piece in split_template(answer.template)]
    return " ".join("".join(words).split())


class TarWriter(Writer):
    """Write image-text pairs to one WebDataset tar (see Writer); every sample has one embedded image and one turn."""

    suffix = ".tar"
    format = "webdataset"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._tar: tarfile.TarFile | None = None

    def _add(self, sample: Sample) -> None:
        if self._tar is None:
            self._tar = tarfile.TarFile(self.unfinished, "w", format=tarfile.USTAR_FORMAT)
        image = sample.images[0]
        key = f"{self.path.stem.rpartition('-')[2]}{self.samples:07d}"
        data = embed_image(image).data or b""
        self._put(key + suffix_of(data), data)
        self._put(key + ".txt", write_caption(sample.turns[0].answer).encode())
        self._put(key + ".json", json.dumps(_facts(sample), ensure_ascii=False).encode())

    def _close(self, *, whole: bool) -> None:
        del whole
        if self._tar is not None:
            self._tar.close()

    def _put(self, name: str, data: bytes) -> None:
        assert self._tar is not None
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))


def _phrases(slot: Slot, answer: Answer) -> str:
    if max(slot.indices) >= len(answer.regions):
        raise DataError(f"the slot {slot} has no region: the answer has {len(answer.regions)}")
    return ", ".join(dict.fromkeys(answer.regions[index].phrase for index in slot.indices)) if slot.ref else ""


def _facts(sample: Sample) -> dict[str, Any]:
    image = sample.images[0]
    facts = {
        "id": sample.id,
        "source": sample.source,
        "split": sample.split,
        "licence": sample.licence,
        "instruction": sample.turns[0].instruction,
        "width": image.width,
        "height": image.height,
        "date": image.date,
        "sensor": image.sensor,
        "bands": list(image.bands),
        "gsd_m": image.gsd_m,
        "crs": image.crs,
    }
    return {name: value for name, value in facts.items() if value not in (None, [])}
