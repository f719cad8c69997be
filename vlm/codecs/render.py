"""Records -> text: the one encoder of all dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from vlm.codecs.mask_text import encode_mask
from vlm.codecs.numbers import Numbers, encode_numbers
from vlm.codecs.template import Slot, split_template
from vlm.dialects import Dialect, Form, Frame, Size, frame, get_dialect
from vlm.errors import DataError, GeometryError
from vlm.records import Region


def render_text(
    template: str,
    regions: Sequence[Region],
    *,
    sizes: Sequence[Size],
    dialect: str = "nadir",
    resized: Sequence[Size] | None = None,
    mask_cells: int | None = None,
) -> str:
    """Write a template and its regions as text in a dialect.

    `sizes` are (width, height) of the images in pixels; `resized` are the sizes at which the model sees them, which
    only absolute-pixel dialects use (default: smart_resize). `mask_cells` overrides the cells a side of masks. Raises
    DataError for a slot without its region, GeometryError for a region that the dialect cannot write.
    """
    entry = get_dialect(dialect)
    frames = [frame(entry, size, resized[i] if resized else None) for i, size in enumerate(sizes)]
    out = []
    for piece in split_template(template):
        if isinstance(piece, Slot):
            out.append(_render_slot(piece, _pick(piece, regions), entry, frames, mask_cells))
        else:
            out.append(piece)
    return "".join(out)


def escape_phrase(phrase: str) -> str:
    """Write `<` as `&lt;`, so that a phrase cannot end its own tag; a literal `&lt;` becomes `&amp;lt;`."""
    return re.sub(r"&(?=(?:amp;)*+lt;)", "&amp;", phrase).replace("<", "&lt;")


def unescape_phrase(phrase: str) -> str:
    """Undo escape_phrase."""
    return re.sub(r"&((?:amp;)*+)lt;", lambda m: f"&{m[1][4:]}lt;" if m[1] else "<", phrase)


def _pick(slot: Slot, regions: Sequence[Region]) -> list[Region]:
    """Give the regions of a slot."""
    missing = [index for index in slot.indices if index >= len(regions)]
    if missing:
        raise DataError(f"the slot {slot} asks for region {missing[0]}, but the answer has {len(regions)} regions")
    return [regions[index] for index in slot.indices]


def _render_slot(
    slot: Slot, regions: list[Region], dialect: Dialect, frames: Sequence[Frame], mask_cells: int | None
) -> str:
    """Write one slot: regions that share phrase and image stand in one list, in JSON all of them do."""
    form = dialect.form(slot.kind)
    for region in regions:
        _check_image(region, dialect, frames)
    if form.layout == "json":
        return _json_list(regions, form, dialect, frames, ref=slot.ref)
    out = []
    for (phrase, image), group in groupby(
        regions, key=lambda region: (region.phrase if slot.ref else "", region.image)
    ):
        if form.kind == "seg":
            items = [encode_mask(region.geometry, dialect, frames[image], cells=mask_cells) for region in group]
        else:
            items = [_item(encode_numbers(r.geometry, form, dialect, frames[image]), form, dialect) for r in group]
        out.append(_phrase(phrase, dialect) + _list(items, form, dialect, image))
    return "".join(out)


def _check_image(region: Region, dialect: Dialect, frames: Sequence[Frame]) -> None:
    """Refuse a region of an image that is not there or that the dialect cannot name."""
    if not 0 <= region.image < len(frames):
        raise DataError(f"a region lies in image {region.image + 1}, but there are {len(frames)} image sizes")
    if region.image and not dialect.names_images:
        raise GeometryError(
            f"the dialect {dialect.name} cannot say that a region lies in image {region.image + 1}: "
            "write it in the dialect nadir, or give regions of the first image only"
        )


def _phrase(phrase: str, dialect: Dialect) -> str:
    """Write the phrase before a list; dialects without a phrase tag leave it out."""
    if not phrase or dialect.phrase is None:
        return ""
    return f"{dialect.phrase[0]}{escape_phrase(phrase)}{dialect.phrase[1]}"


def _list(items: Sequence[str], form: Form, dialect: Dialect, image: int) -> str:
    """Join items and set the tag around them."""
    style = dialect.style
    if form.kind == "seg":
        body = "/".join(items)
    else:
        body = f"{style.list_open}{style.item_separator.join(items)}{style.list_close}"
    if form.layout == "run":
        return body
    return f"<{form.name}{f' image={image + 1}' if image else ''}>{body}</{form.name}>"


def _item(rings: Sequence[Numbers], form: Form, dialect: Dialect) -> str:
    """Write the numbers of one shape."""
    style = dialect.style
    texts = []
    for ring in rings:
        marks = [f"{style.number_open}{number}{style.number_close}" for number in ring]
        if form.fields[-1:] == ("a",) and style.before_angle:
            marks[-1] = style.before_angle + marks[-1]
        texts.append(style.number_separator.join(marks))
    return f"{style.item_open}{';'.join(texts)}{style.item_close}"


def _json_list(regions: Sequence[Region], form: Form, dialect: Dialect, frames: Sequence[Frame], *, ref: bool) -> str:
    """Write a fenced JSON list as Qwen2.5-VL does; the phrase of a region is its label."""
    lines = list(_json_items(regions, form, dialect, frames, ref=ref))
    return "```json\n[\n\t" + ",\n\t".join(lines) + "\n]\n```"


def _json_items(
    regions: Sequence[Region], form: Form, dialect: Dialect, frames: Sequence[Frame], *, ref: bool
) -> Iterator[str]:
    """Write each region as a JSON object."""
    for region in regions:
        (numbers,) = encode_numbers(region.geometry, form, dialect, frames[region.image])
        record: dict[str, object] = {form.name: list(numbers)}
        if ref and region.phrase:
            record["label"] = region.phrase
        yield json.dumps(record, ensure_ascii=False)
