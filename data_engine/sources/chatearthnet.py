"""ChatEarthNet: detailed land cover descriptions of Sentinel-2 images, 256 x 256 at 10 m, written by ChatGPT.

Layout (Zenodo 11003436, unpacked side by side): json_files/ChatEarthNet_caps_{35,4v}_{train,val,test}.json (GPT-3.5:
163,488 images, GPT-4V: 10,000 more descriptions) = [{"image" or "image_id", "caption"}], and the RGB images in
s2_rgb_images/s2_images/<name>.png. Six more bands come as pictures of three (s2_band_5_6_7_images,
s2_band_8_11_12_images) with the same names; they are not read.
Quirks: the key of the image and the type of the caption (text or a list with it) differ between the files. An image may
have both a 3.5 and a 4V caption; each is a sample. Both kinds are read where both are there. This layout is the one
that published loaders read; the archive itself was not at hand.
Licence: CC BY 4.0. Citation: Yuan et al., ChatEarthNet: a global-scale image-text dataset empowering vision-language
geo-foundation models, ESSD 2025.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_engine import generate
from data_engine.objects import seeded
from data_engine.sources.boundary import Reject, convert_each
from data_engine.sources.questions import read_rows
from data_engine.sources.source import Source, describe_image, require_split
from vlm.errors import DataError
from vlm.records import Sample

NAME: Final = "chatearthnet"
SPLITS: Final = ("train", "val", "test")
WRITERS: Final = ("35", "4v")
LICENCE: Final = "CC BY 4.0"
LAYOUT: Final = (
    "json_files/ChatEarthNet_caps_35_<split>.json or ..._4v_<split>.json and s2_rgb_images/s2_images/*.png; they come "
    "from https://zenodo.org/records/11003436"
)
GSD_M: Final = 10.0
Entry = tuple[str, int, dict[str, Any]]


def load(root: Path, *, split: str, seed: int = 0, reject: Reject | None = None) -> Iterator[Sample]:
    """Yield one caption sample per description of the split."""
    require_split(NAME, split, SPLITS)
    root = Path(root)
    files = {writer: root / "json_files" / f"ChatEarthNet_caps_{writer}_{split}.json" for writer in WRITERS}
    if not any(path.exists() for path in files.values()):
        raise DataError(f"{NAME}: {root} holds no descriptions of the split {split!r}; expected {LAYOUT}")

    def convert(entry: Entry) -> Iterator[Sample]:
        writer, number, record = entry
        filename, sentence = _read(record, where=f"{files[writer]} entry {number}")
        path = root / "s2_rgb_images" / "s2_images" / filename
        image = describe_image(path, name=NAME, layout=LAYOUT, sensor="Sentinel-2", gsd_m=GSD_M)
        sample_id = f"{NAME}/{split}/{Path(filename).stem}/{writer}-{number}"
        turn = generate.caption(sentence, seeded(seed, sample_id))
        yield generate.wrap_turn(turn, sample_id=sample_id, images=(image,), source=NAME, split=split, licence=LICENCE)

    entries = (
        (writer, number, row)
        for writer, path in files.items()
        if path.exists()
        for number, row in enumerate(read_rows(path, name=NAME, layout=LAYOUT, required=("caption",), reject=reject))
    )
    return convert_each(entries, convert, name=NAME, reject=reject)


def _read(record: dict[str, Any], *, where: str) -> tuple[str, str]:
    """Read the image name and the description; the captions of a list are parts of one description."""
    filename, caption = record.get("image") or record.get("image_id"), record["caption"]
    sentence = " ".join(caption) if isinstance(caption, list) else caption
    if not filename or not isinstance(sentence, str) or not sentence.strip(" ."):
        raise DataError(f"{where} has image {filename!r} and caption {caption!r}: expected a file name and a text")
    return str(filename), sentence


SOURCE: Final = Source(
    name=NAME, load=load, splits=SPLITS, layout=LAYOUT, licence=LICENCE, citation="Yuan et al., ESSD 2025"
)
