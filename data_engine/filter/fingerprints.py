"""The first pass over a store: what each sample is made of, as numbers that fit in memory.

Each shard gives one .npz file: for each sample a digest of its words and images and the numbers of its images; for each
image a digest of its bytes, its signature and what is wrong with it. A stage (data_engine/stage.py) writes them, so the
pass is resumable, shared between processes and the same everywhere. 176 bytes an image and 24 a sample are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from data_engine.filter.signature import ENOUGH_PX, LENGTH, sign_picture
from data_engine.stage import StageOptions, map_store
from data_engine.store.images import ImageFaultError
from data_engine.store.ledger import Ledger
from data_engine.store.manifest import load_manifest
from data_engine.store.pixels import digest_image, load_grey
from data_engine.store.schema import sample_to_row
from data_engine.store.writer import Writer
from vlm.records import Image, Sample


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """Hold what a sequence of samples is made of.

    `samples` (S, 16) uint8 are digests of the samples; sample i has the images `members[starts[i]:starts[i + 1]]`.
    `images` (U, 16) uint8 are digests of the different images, `signatures` int8 (U, LENGTH), `faults` (U,) what is
    wrong with each ("" for nothing) and `names` (U,) the id of the first sample that shows it.
    """

    samples: np.ndarray
    starts: np.ndarray
    members: np.ndarray
    images: np.ndarray
    signatures: np.ndarray
    faults: np.ndarray
    names: np.ndarray


class FingerprintWriter(Writer):
    """Write the fingerprints of samples instead of the samples."""

    suffix: ClassVar[str] = ".npz"
    format: ClassVar[str] = "nadir fingerprints"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._samples: list[bytes] = []
        self._members: list[list[int]] = []
        self._numbers: dict[bytes, int] = {}
        self._images: list[tuple[bytes, np.ndarray, str, str]] = []

    def _add(self, sample: Sample) -> None:
        numbers = [self._number(image, sample.id) for image in sample.images]
        self._members.append(numbers)
        self._samples.append(digest_sample(sample, [self._images[number][0] for number in numbers]))

    def _number(self, image: Image, sample_id: str) -> int:
        digest, signature, fault = fingerprint_image(image, known=self._numbers)
        if digest not in self._numbers:
            self._numbers[digest] = len(self._images)
            self._images.append((digest, signature, fault, sample_id))
        return self._numbers[digest]

    def _close(self, *, whole: bool) -> None:
        if not whole or not self._samples:
            return
        digests, signatures, faults, names = zip(*self._images, strict=True) if self._images else ((), (), (), ())
        with self.unfinished.open("wb") as file:
            np.savez(
                file,
                samples=_to_bytes(self._samples),
                starts=np.cumsum([0, *map(len, self._members)]),
                members=np.array([number for numbers in self._members for number in numbers], np.int64),
                images=_to_bytes(digests),
                signatures=np.array(signatures, np.int8).reshape(-1, LENGTH),
                faults=np.array(faults, np.str_),
                names=np.array(names, np.str_),
            )


def fingerprint_image(image: Image, *, known: dict[bytes, int]) -> tuple[bytes, np.ndarray, str]:
    """Give the digest, the signature and the fault of an image; a `known` one is not decoded again."""
    nothing = np.zeros(LENGTH, np.int8)
    try:
        digest = digest_image(image)
        if digest in known:
            return digest, nothing, ""
        return digest, sign_picture(load_grey(image, enough_px=ENOUGH_PX)), ""
    except ImageFaultError as error:
        digest = hashlib.blake2b(str(error).encode(), digest_size=16).digest()
        return digest, nothing, f"{error.reason}: {error}"


def digest_sample(sample: Sample, images: Sequence[bytes]) -> bytes:
    """Give 16 bytes that two samples share when they show the same images, ask the same and answer the same."""
    words = json.dumps([sample.task, sample_to_row(sample)["turns"]], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(b"".join(images) + words.encode(), digest_size=16).digest()


def write_fingerprints(stores: Sequence[Path], out: Path, *, options: StageOptions) -> Ledger:
    """Fingerprint the samples of stores into the folder `out`; done shards are not done again."""
    return map_store("fingerprint", stores, out, keep, options=options, writer=FingerprintWriter)


def keep(sample: Sample, ledger: Ledger) -> Iterator[Sample]:
    """Yield a sample as it is."""
    del ledger
    yield sample


def load_fingerprints(folder: Path) -> dict[int, Fingerprints]:
    """Read what `write_fingerprints` wrote, by the number of the shard among those of its stores."""
    found = {}
    for path in load_manifest(folder).paths():
        with np.load(path) as file:
            found[int(path.stem.rpartition("-")[2])] = Fingerprints(
                **{name: file[name] for name in Fingerprints.__slots__}
            )
    return found


def _to_bytes(digests: Sequence[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
