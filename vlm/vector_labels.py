"""Answers as label files of object detection: COCO JSON, DOTA text, YOLO text.

Coordinates are pixels of the image's own file: a region of a date that was laid on the first one's grid is moved back.

COCO: https://cocodataset.org/#format-data. DOTA: eight corner numbers, class, difficult (DOTA-v1.0). YOLO: class
number, then centre and size, or eight corner numbers (OBB), or a polygon, all divided by the image's width and height.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlm.errors import OutputError
from vlm.geometry.convert import polygon_area, to_hbb, to_mask, to_obb, to_quad
from vlm.geometry.shapes import HBB, Geometry, Mask, Polygon
from vlm.output import write_text
from vlm.place import sound_polygons
from vlm.records import Answer
from vlm.vector_rows import Row, file_grids, image_names, in_file, rows_of, size_of

NAMELESS = "object"
_LARGEST_RLE_PX = 100_000_000
Line = Callable[[Geometry, tuple[int, int]], list[float]]


def write_coco(answers: Sequence[Answer], path: Path) -> Path:
    """Write one COCO detection file: images, categories (the phrases), annotations."""
    return write_text(path, json.dumps(answers_to_coco(answers), ensure_ascii=False) + "\n")


def answers_to_coco(answers: Sequence[Answer]) -> dict[str, Any]:
    """Give answers as a COCO dataset; segmentation is polygons, or run lengths where a mask has holes.

    Raises OutputError when the size of an image is not known.
    """
    rows = [in_file(row) for row in rows_of(answers)]
    sizes = {row.image_name: size_of(row, "COCO") for row in rows}
    for answer, names in zip(answers, image_names(answers), strict=True):
        for name, grid in zip(names, file_grids(answer), strict=False):
            sizes.setdefault(name, (grid.width, grid.height))
    images = {name: number for number, name in enumerate(sizes, start=1)}
    classes = {name: number for number, name in enumerate(classes_of(rows), start=1)}
    return {
        "images": [
            {"id": images[name], "file_name": name, "width": width, "height": height}
            for name, (width, height) in sizes.items()
        ],
        "categories": [{"id": number, "name": name} for name, number in classes.items()],
        "annotations": [
            {
                "id": number,
                "image_id": images[row.image_name],
                "category_id": classes[class_of(row)],
                **_coco_shape(row.region.geometry, sizes[row.image_name]),
                "iscrowd": 0,
            }
            for number, row in enumerate(rows, start=1)
        ],
    }


def write_dota(answers: Sequence[Answer], path: Path) -> Path:
    """Write DOTA text: `path` itself when it ends in .txt (one image only), else a folder with a file per image."""
    for file, rows in _files([in_file(row) for row in rows_of(answers)], answers, path):
        gsd_m = next((row.map_grid.gsd_m for row in rows if row.map_grid is not None), None)
        lines = ["imagesource:unknown", f"gsd:{'null' if gsd_m is None else round(gsd_m, 6)}"]
        for row in rows:
            corners = [value for corner in to_quad(_four_sided(row.region.geometry)) for value in corner]
            lines.append(f"{_numbers(corners, 2)} {'-'.join(class_of(row).split())} 0")
        write_text(file, "\n".join(lines) + "\n")
    return path


def write_yolo(answers: Sequence[Answer], path: Path) -> Path:
    """Write YOLO text: boxes when every region is a horizontal box, else oriented boxes."""
    boxes = all(isinstance(region.geometry, HBB) for answer in answers for region in answer.regions)
    return _write_yolo(answers, path, _yolo_box if boxes else _yolo_obb)


def write_yolo_obb(answers: Sequence[Answer], path: Path) -> Path:
    """Write YOLO text with eight corner numbers a line."""
    return _write_yolo(answers, path, _yolo_obb)


def write_yolo_seg(answers: Sequence[Answer], path: Path) -> Path:
    """Write YOLO text with a polygon a line: the largest part of a mask, holes filled, as the format demands."""
    return _write_yolo(answers, path, _yolo_polygon)


def _write_yolo(answers: Sequence[Answer], path: Path, line: Line) -> Path:
    """Write one file per image and, beside them, classes.txt (`<name>.classes.txt` for a single file)."""
    rows = [in_file(row) for row in rows_of(answers)]
    classes = classes_of(rows)
    for file, rows_of_image in _files(rows, answers, path):
        text = "".join(
            f"{classes.index(class_of(row))} {_numbers(line(row.region.geometry, size_of(row, 'YOLO')), 6)}\n"
            for row in rows_of_image
        )
        write_text(file, text)
    beside = path.with_suffix(".classes.txt") if path.suffix == ".txt" else path / "classes.txt"
    write_text(beside, "".join(f"{name}\n" for name in classes))
    return path


def class_of(row: Row) -> str:
    """Give a region's class: its phrase on one line, or `object`."""
    return " ".join(row.region.phrase.split()) or NAMELESS


def classes_of(rows: Iterable[Row]) -> list[str]:
    """List the classes in alphabetical order, so that the same phrases always get the same numbers."""
    return sorted({class_of(row) for row in rows})


def encode_rle(mask: Mask, width: int, height: int) -> dict[str, Any]:
    """Give a mask of one cell a pixel (whole-pixel box inside the image) as COCO's uncompressed run lengths.

    Runs go down the columns, begin with zeros and may be of length 0.
    """
    rows, cols = mask.bits.shape
    left, top = int(mask.box.x1), int(mask.box.y1)
    padded = np.zeros((rows + 2, cols), np.int8)
    padded[1:-1] = mask.bits
    column, row = np.nonzero(np.diff(padded, axis=0).T)
    edges = (column + left) * height + row + top
    counts = np.diff(np.concatenate([[0], edges, [width * height]]))
    return {"size": [height, width], "counts": counts.tolist()}


def _coco_shape(geometry: Geometry, size: tuple[int, int]) -> dict[str, Any]:
    box = to_hbb(geometry)
    polygons = sound_polygons(geometry)
    segmentation: Any = [[round(value, 2) for point in p.exterior for value in point] for p in polygons]
    if any(polygon.holes for polygon in polygons):
        segmentation = _rle(geometry, box, size)
    return {
        "bbox": [round(value, 2) for value in (box.x1, box.y1, box.w, box.h)],
        "area": round(sum(polygon_area(polygon) for polygon in polygons), 2),
        "segmentation": segmentation,
    }


def _rle(geometry: Geometry, box: HBB, size: tuple[int, int]) -> dict[str, Any]:
    """Draw a shape at one cell a pixel inside the image and run-length it; OutputError when it is too large to draw."""
    x1, y1 = max(0, int(np.floor(box.x1))), max(0, int(np.floor(box.y1)))
    x2, y2 = min(size[0], int(np.ceil(box.x2))), min(size[1], int(np.ceil(box.y2)))
    if x2 <= x1 or y2 <= y1:
        return {"size": [size[1], size[0]], "counts": [size[0] * size[1]]}
    if (x2 - x1) * (y2 - y1) > _LARGEST_RLE_PX:
        raise OutputError(
            f"a region with holes covers {x2 - x1} x {y2 - y1} pixels: COCO run lengths are drawn up to "
            f"{_LARGEST_RLE_PX} pixels; write GeoJSON or GeoPackage instead"
        )
    mask = to_mask(geometry, box=HBB(x1, y1, x2, y2), rows=y2 - y1, cols=x2 - x1)
    return encode_rle(mask, *size)


def _files(rows: Sequence[Row], answers: Sequence[Answer], path: Path) -> list[tuple[Path, list[Row]]]:
    """Pair every image's label file with its rows; images that were looked at and hold nothing get an empty list."""
    names = zip(answers, image_names(answers), strict=True)
    by_image: dict[str, list[Row]] = {name: [] for answer, own in names for name in own[: len(answer.grids)]}
    for row in rows:
        by_image.setdefault(row.image_name, []).append(row)
    if path.suffix != ".txt":
        files = [(path / f"{'-'.join(Path(name).with_suffix('').parts)}.txt", rows) for name, rows in by_image.items()]
        if len(dict(files)) < len(files):
            raise OutputError(f"{path} cannot hold a file per image: {', '.join(by_image)} would share one; rename one")
        return files
    filled = [found for found in by_image.values() if found]
    if len(filled) > 1:
        raise OutputError(
            f"{path} is one label file, and the answers hold regions in {len(filled)} images: name a folder instead"
        )
    return [(path, filled[0] if filled else [])]


def _four_sided(geometry: Geometry) -> Geometry:
    """Keep what has four corners; give the oriented box of any other polygon or mask."""
    if isinstance(geometry, Polygon) and (len(geometry.exterior) != 4 or geometry.holes):
        return to_obb(geometry)
    return to_obb(geometry) if isinstance(geometry, Mask) else geometry


def _yolo_box(geometry: Geometry, size: tuple[int, int]) -> list[float]:
    box = to_hbb(geometry)
    x1, y1, x2, y2 = _normalised([(box.x1, box.y1), (box.x2, box.y2)], size)
    return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


def _yolo_obb(geometry: Geometry, size: tuple[int, int]) -> list[float]:
    return _normalised(to_quad(_four_sided(geometry)), size)


def _yolo_polygon(geometry: Geometry, size: tuple[int, int]) -> list[float]:
    polygons = sound_polygons(geometry)
    exterior = max(polygons, key=polygon_area).exterior if polygons else to_quad(to_hbb(geometry))
    return _normalised(exterior, size)


def _normalised(points: Iterable[tuple[float, float]], size: tuple[int, int]) -> list[float]:
    """Divide points by the image size and clip them to [0, 1]: readers of YOLO text throw a file away otherwise."""
    width, height = size
    return [min(1.0, max(0.0, value)) for x, y in points for value in (x / width, y / height)]


def _numbers(values: Iterable[float], decimals: int) -> str:
    return " ".join(f"{value:.{decimals}f}".rstrip("0").rstrip(".") for value in values)
