"""A user's labels land on their pixels, in any CRS and format; each is used or counted; mistakes are sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from data_engine.own.classes import Naming, clean_label
from data_engine.own.labels import OUTSIDE, SMALL, OwnData, load_own
from data_engine.own.layers import EMPTY, LINES, NAMELESS, PIXELS, POINTS, LabelOptions
from tests.data_engine.made_sites import CRS, SIDE, WEST, corners, squares, write_labels, write_raster
from vlm.errors import DataError, NadirError
from vlm.geometry import to_hbb
from vlm.geometry.shapes import HBB, Polygon

PLACES = corners(96)


def boxes(data: OwnData) -> list[tuple[float, ...]]:
    found = [to_hbb(region.geometry) for image in data.images for region in image.objects]
    return sorted(tuple(round(value, 1) for value in (box.x1, box.y1, box.x2, box.y2)) for box in found)


@pytest.mark.parametrize(
    ("name", "crs"),
    [("a.gpkg", CRS), ("a.geojson", "EPSG:4326"), ("a.shp", "EPSG:3857"), ("a.fgb", "EPSG:32617"), ("a.json", CRS)],
)
def test_labels_of_any_crs_and_format_lie_on_their_pixels(tmp_path: Path, name: str, crs: str) -> None:
    image = write_raster(tmp_path / "a.tif", PLACES)
    data = load_own(image, write_labels(tmp_path / name, squares(PLACES), crs=crs), LabelOptions())
    assert data.classes == ("tank",) and data.features == data.used == len(PLACES)
    wanted = sorted((x, y, x + SIDE, y + SIDE) for x, y in PLACES)
    for found, true in zip(boxes(data), wanted, strict=True):
        assert found == pytest.approx(true, abs=0.05)
    assert data.images[0].gsd_m == pytest.approx(0.5)


def test_boxes_are_boxes_and_outlines_are_outlines(tmp_path: Path) -> None:
    image = write_raster(tmp_path / "a.tif", PLACES)
    upright = load_own(image, write_labels(tmp_path / "a.gpkg", squares(PLACES)), LabelOptions())
    assert all(isinstance(region.geometry, HBB) for region in upright.images[0].objects) and not upright.outlined
    turned = [shapely.affinity.rotate(shape, 30) for shape in squares(PLACES)]
    outlined = load_own(image, write_labels(tmp_path / "b.gpkg", turned), LabelOptions())
    assert all(isinstance(region.geometry, Polygon) for region in outlined.images[0].objects) and outlined.outlined


def test_each_feature_is_used_or_counted_by_what_it_lacks(tmp_path: Path) -> None:
    image = write_raster(tmp_path / "a.tif", PLACES)
    good = squares(PLACES[:3])
    far, tiny = shapely.affinity.translate(good[0], 1e5), shapely.affinity.scale(good[0], 0.05, 0.05)
    line, point = shapely.LineString([(WEST, 0), (WEST, 1)]), good[0].centroid
    two = shapely.MultiPolygon(squares(PLACES[3:5]))
    shapes = [*good, far, tiny, line, point, None, good[0], two]
    fields = {"what": ["tank"] * 8 + ["", "pond"]}
    path = write_labels(tmp_path / "a.gpkg", shapes, fields=fields)
    data = load_own(image, path, LabelOptions(Naming("what")))
    assert data.dropped == {OUTSIDE: 1, SMALL: 1, LINES: 1, POINTS: 1, EMPTY: 1, NAMELESS: 1}
    assert data.features == len(shapes) == data.used + data.dropped.total()
    assert data.classes == ("pond", "tank")
    assert len(data.images[0].objects) == 5, "a feature of two parts is two objects"
    sized = load_own(image, path, LabelOptions(Naming("what"), point_m=6.0))
    assert sized.dropped[POINTS] == 0 and len(sized.images[0].objects) == 6


def test_points_with_a_size_are_boxes(tmp_path: Path) -> None:
    image = write_raster(tmp_path / "a.tif", PLACES)
    path = write_labels(tmp_path / "a.geojson", [shape.centroid for shape in squares(PLACES)], crs="EPSG:4326")
    data = load_own(image, path, LabelOptions(point_m=SIDE * 0.5))
    wanted = sorted((x, y, x + SIDE, y + SIDE) for x, y in PLACES)
    for found, true in zip(boxes(data), wanted, strict=True):
        assert found == pytest.approx(true, abs=0.05)


def test_label_files_are_paired_with_images_by_name(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir(), labels.mkdir()
    write_raster(images / "one.tif", PLACES)
    write_raster(images / "two.tif", PLACES, placed=False)
    write_raster(images / "three.tif", PLACES)
    write_labels(labels / "one.geojson", squares(PLACES[:4]))
    xml = "".join(
        f"<object><name>Tank</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + 9}</xmax><ymax>{y + 9}</ymax>"
        "</bndbox></object>"
        for x, y in PLACES[:5]
    )
    (labels / "two.xml").write_text(f"<annotation>{xml}</annotation>")
    data = load_own(images, labels, LabelOptions())
    assert [(image.path.stem, len(image.objects)) for image in data.images] == [("one", 4), ("two", 5)]
    assert data.classes == ("tank",) and data.unlabelled == (images / "three.tif",)


def test_labels_may_be_drawn_in_pixels(tmp_path: Path) -> None:
    image = write_raster(tmp_path / "a.tif", PLACES, placed=False)
    path = write_labels(tmp_path / "a.gpkg", [shapely.box(x, y, x + 9, y + 9) for x, y in PLACES])
    assert boxes(load_own(image, path, LabelOptions(crs=PIXELS)))[0] == (6, 6, 15, 15)


@pytest.mark.parametrize(
    ("values", "naming", "label"),
    [
        ({"Class": "Storage_Tank"}, Naming(), "storage tank"),
        ({"building": "yes"}, Naming(), "building"),
        ({"building": "yes", "type": "Barn"}, Naming(), "barn"),
        ({"kind": "a, b: c"}, Naming("kind"), "a b c"),
        ({"solar": 1}, Naming("solar"), "solar"),
        ({"solar": 0}, Naming("solar"), None),
        ({"solar": None}, Naming("solar"), None),
        ({"id": 3}, Naming(), None),
        ({"id": 3}, Naming(label="Tree"), "tree"),
        ({"type": "<box>{car}"}, Naming(), "box car"),
    ],
)
def test_what_a_feature_is(values: dict[str, object], naming: Naming, label: str | None) -> None:
    assert naming.name(values, area=True) == label
    assert label is None or clean_label(label) == label


def refusal(images: Path, labels: Path, options: LabelOptions | None = None) -> str:
    with pytest.raises(NadirError) as caught:
        load_own(images, labels, options or LabelOptions())
    assert len(str(caught.value)) < 500
    return str(caught.value)


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    image = write_raster(tmp_path / "a.tif", PLACES)
    good = squares(PLACES)
    far = write_labels(tmp_path / "far.gpkg", [shapely.affinity.translate(shape, 50000) for shape in good])
    assert "no label of" in refusal(image, far) and "degrees" in refusal(image, far)
    fields = write_labels(tmp_path / "fields.gpkg", good, fields={"id": range(len(good)), "kind": ["x"] * len(good)})
    told = refusal(image, fields)
    assert "id, kind" in told and "--label-field" in told and "--label" in told
    assert "has no field 'klass': its fields are id, kind" in refusal(image, fields, LabelOptions(Naming("klass")))
    empty = write_labels(tmp_path / "empty.gpkg", good, fields={"kind": [""] * len(good)})
    assert "is empty everywhere" in refusal(image, empty, LabelOptions(Naming("kind")))
    points = write_labels(tmp_path / "points.gpkg", [shape.centroid for shape in good])
    assert f"{len(good)} points" in refusal(image, points) and "--point-size" in refusal(image, points)
    lines = write_labels(tmp_path / "lines.gpkg", [shapely.LineString(shape.exterior.coords) for shape in good])
    assert "lines, which cover no area" in refusal(image, lines)
    nothing = write_labels(tmp_path / "nothing.gpkg", [None, None])
    assert EMPTY in refusal(image, nothing)
    without = write_labels(tmp_path / "without.gpkg", good, crs=None)
    assert "states no CRS: say it with --label-crs" in refusal(image, without)
    assert load_own(image, without, LabelOptions(crs=CRS)).used == len(good)
    assert "unknown to PROJ" in refusal(image, without, LabelOptions(crs="EPSG:0"))
    metres = tmp_path / "metres.geojson"
    metres.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"class": "a"}, "geometry": '
        '{"type": "Polygon", "coordinates": [[[500000, 1], [500009, 1], [500009, 9], [500000, 1]]]}}]}'
    )
    assert "they are not (x 500,000 to 500,009" in refusal(image, metres)
    plain = write_raster(tmp_path / "plain.tif", PLACES, placed=False)
    assert "has no georeference" in refusal(plain, write_labels(tmp_path / "good.gpkg", good))
    (tmp_path / "torn.geojson").write_text('{"type": "Feature')
    assert "cannot be read" in refusal(image, tmp_path / "torn.geojson")


def test_missing_files_are_sentences(tmp_path: Path) -> None:
    image = write_raster(tmp_path / "a.tif", PLACES)
    labels = write_labels(tmp_path / "b.gpkg", squares(PLACES))
    assert "do not exist" in refusal(tmp_path / "no", labels)
    assert "do not exist" in refusal(image, tmp_path / "no.gpkg")
    (tmp_path / "none").mkdir()
    assert "holds no image" in refusal(tmp_path / "none", labels)
    assert "holds no labels" in refusal(image, tmp_path / "none")
    write_raster(tmp_path / "twin" / "a.tif", PLACES), write_raster(tmp_path / "twin" / "a.tiff", PLACES)
    assert "called alike" in refusal(tmp_path / "twin", labels)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("x.gpkg", "y.gpkg"):
        write_labels(other / name, squares(PLACES))
    assert "is called as an image is" in refusal(image, other)
    with pytest.raises(DataError):
        load_own(image, tmp_path / "none", LabelOptions())
