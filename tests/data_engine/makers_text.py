"""Tiny copies of caption, question, radar and multispectral datasets in their original layouts, made here."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image as Picture

# Captions


def karpathy(*records: tuple[str, str, list[str]]) -> dict[str, Any]:
    return {
        "images": [
            {"filename": name, "split": split, "imgid": 0, "sentences": [{"raw": raw, "tokens": []} for raw in raws]}
            for name, split, raws in records
        ],
        "dataset": "tiny",
    }


def make_ucm(root: Path) -> None:
    records = (("1.tif", "train", ["A field .", "A field .", "Rows of { crops } ."]), ("2.tif", "val", ["Boats ."]))
    _json(root / "UCM_captions" / "dataset.json", karpathy(*records))
    for name, _, _ in records:
        _picture(root / "UCM_captions" / "imgs" / name, (256, 256))


def make_sydney(root: Path) -> None:
    _json(root / "dataset.json", karpathy(("1.tif", "train", ["Houses ."]), ("2.tif", "test", ["A river ."])))
    for name in ("1.tif", "2.tif"):
        _picture(root / "imgs" / name, (500, 500))


def make_rsitmd(root: Path) -> None:
    records = (("airport_1.tif", "train", ["Two planes.", "."]), ("airport_2.tif", "test", ["One plane."]))
    _json(root / "dataset_RSITMD.json", karpathy(*records))
    for name, _, _ in records:
        _picture(root / "images" / name, (256, 256))


def make_nwpu_captions(root: Path) -> None:
    def record(name: str, split: str, *raws: str) -> dict[str, Any]:
        keys = ["raw", *(f"raw_{number}" for number in range(1, 5))]
        return {"filename": name, "split": split, "imgid": 1} | dict(zip(keys, raws, strict=False))

    content = {
        "baseball_diamond": [record("baseball_diamond_001.jpg", "train", "a diamond .", "a diamond .", "a field .")],
        "airplane": [record("airplane_001.jpg", "train", "a plane ."), record("airplane_002.jpg", "val", "a plane .")],
    }
    _json(root / "dataset_nwpu.json", content)
    for theme, records in content.items():
        for entry in records:
            _picture(root / "NWPU_images" / theme / entry["filename"], (256, 256))


def make_rs5m(root: Path) -> None:
    def record(name: str, caption: str) -> dict[str, bytes]:
        return {"img_content": _encoded((60, 40)), "img_name": name.encode(), "caption": caption.encode()}

    pub11 = {"000": record("a.jpg", "souraku stadium { oita }"), "001": record("b.jpg", "an aerial view.\n")}
    write_tar(root / "train" / "pub11-train-0000.tar", pub11)
    rs3 = {"000": record("millionaid_P1.jpg", "a satellite image of a field")}
    write_tar(root / "train" / "rs3-train-0000.tar", rs3)
    write_tar(root / "val" / "rs3-val-0000.tar", {"000": record("ben_1.jpg", "a lake")})


def make_rsteller(root: Path) -> None:
    def record(patch: int, *texts: str, image: str = "m_4107501_ne_18_060_20221108") -> dict[str, bytes]:
        annotations = [{"task": 2 + (number > 0), "text": text} for number, text in enumerate(texts)]
        content = {"metadata": {"patch_id": patch, "image_name": image}, "annotations": annotations}
        return {"jpg": _encoded((448, 448), "JPEG"), "json": json.dumps(content).encode()}

    shard = {"607": record(607, "A road runs north.", "A road.", "A road."), "608": record(608, "A lake.", image="m_1")}
    write_tar(root / "JPG" / "train-000000.tar", shard)


def make_skyscript(root: Path) -> None:
    rows = (
        ("images2/a198234555_CH_19.jpg", "a school", "a school, surrounded by trees, and roads"),
        ("images3/w7_S2_21.jpg", "a lake", "a lake"),
    )
    root.mkdir(parents=True, exist_ok=True)
    with (root / "SkyScript_train_top30pct_filtered_by_CLIP_openai.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("filepath", "title", "title_multi_objects"), *rows])
    for name, _, _ in rows:
        _picture(root / name, (80, 60))


def make_chatearthnet(root: Path) -> None:
    files = {
        "35_train": [{"image": "p_1_patch00.png", "caption": "The image shows water."}],
        "4v_train": [{"image_id": "p_1_patch00.png", "caption": ["Trees cover the north.", "Crops lie below."]}],
        "35_val": [{"image": "p_2_patch01.png", "caption": "Bare land."}],
    }
    for name, entries in files.items():
        _json(root / "json_files" / f"ChatEarthNet_caps_{name}.json", entries)
    for name in ("p_1_patch00.png", "p_2_patch01.png"):
        _picture(root / "s2_rgb_images" / "s2_images" / name, (256, 256))


# Questions


def make_rsivqa(root: Path) -> None:
    texts = {
        "UCM/ucm_vqa.txt": "1.tif:what is the theme of this picture?farmland\n",
        "UCM/ucm_res.txt": (
            "1.tif:Does this picture contain an airplane?no\n1.tif:How many trees in the picture?one\n"
            "1.tif:How many  in the picture?zero\n1.tif:What is the location of the  in this picture?i cannot see it\n"
        ),
        "DOTA/dota_val_vqa2.txt": (
            "P0003: how many small vehicles are there in this picture?15\nP0003: does this picture contain ship?no\n"
        ),
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    _picture(root / "UCM" / "images" / "1.tif", (256, 256))
    _picture(root / "DOTA" / "images" / "P0003.png", (120, 90))


def make_earthvqa(root: Path) -> None:
    asked = [
        ("Basic Judging", "Is there any agriculture in this scene?", "Yes"),
        ("Basic Counting", "How many intersections are in this scene?", 3),
        ("Reasoning-based Counting", "What is the area of roads?", "10%-20%"),
    ]
    entries = [{"Type": kind, "Question": question, "Answer": answer} for kind, question, answer in asked]
    _json(root / "Train_QA.json", {"1.png": entries})
    _picture(root / "Train" / "images_png" / "1.png", (128, 128))


def make_floodnet(root: Path) -> None:
    def entry(question: str, answer: Any, kind: str, image: str = "10165.JPG") -> dict[str, Any]:
        return {"Image_ID": image, "Question": question, "Ground_Truth": answer, "Question_Type": kind}

    content = {
        "0": entry("How many buildings are flooded in this image?", 4, "Complex_Counting"),
        "1": entry("What is the overall condition of the given image?", "flooded", "Condition_Recognition"),
        "2": entry("Is the entire road flooded?", "No", "Yes_No", image="10166.JPG"),
    }
    _json(root / "Questions" / "Training Question.json", content)
    for name in ("10165.JPG", "10166.JPG"):
        _picture(root / "Images" / "Train_Image" / name, (400, 300))


def make_lrs_vqa(root: Path) -> None:
    def row(number: int, category: str, text: str, answer: str) -> dict[str, Any]:
        prompt = f"{text}\n Answer the question using a single word or phrase."
        place = {"hbox": [1, 2, 30, 40], "rbox": [0.0] * 8, "image_size": [300, 200]}
        head = {"question_id": f"FAIR_{number}", "image": "LRS_VQA/image/15565.tif", "category": category}
        return head | {"text": prompt, "ground_truth": answer} | place

    rows = (
        row(1, "reasoning", "Is the largest bridge crossing a river?", "yes"),
        row(2, "count", "How many ships are there?", "3"),
        row(3, "object color", "What is the colour of the plane?", "white"),
    )
    (root / "LRS_VQA").mkdir(parents=True)
    (root / "LRS_VQA" / "LRS_VQA_merged.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    _picture(root / "LRS_VQA" / "image" / "15565.tif", (300, 200))


def make_rsvlm_qa(root: Path) -> None:
    def pair(number: int, kind: str, question: str, answer: str) -> dict[str, str]:
        return {"question_id": str(number), "question_type": kind, "question": question, "answer": answer}

    image = "RSVLM-QA/LoveDA/Train/Urban/images_png/1366.png"
    pairs = [
        pair(1, "spatial", "Where is the highway?", "In the center."),
        pair(2, "count", "How many buildings are there?", "There are 15 buildings."),
        pair(3, "caption", "Describe the image.", "A town. A road crosses it."),
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / "RSVLM-QA.jsonl").write_text(json.dumps({"id": "0", "image": image, "vqa_pairs": pairs}) + "\n")
    _picture(root / image, (100, 100))


# Radar and multispectral


def make_mstar(root: Path) -> None:
    chips = (("0/00001.jpeg", "0"), ("7/00008.jpeg", "7"))
    for name, _ in chips:
        _picture(root / "classification" / "train" / name, (128, 128), mode="L")
    (root / "classification" / "train.txt").write_text("".join(f"{name} {digit}\n" for name, digit in chips))
    corners = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    entry = f"<object><name>{{}}</name><bndbox>{corners}</bndbox></object>"
    found = entry.format(4, 10, 20, 60, 70) + entry.format(7, 200, 210, 304, 300)
    home = root / "VOCdevkit2007" / "VOC2007"
    for folder in ("Annotations", "ImageSets/Main"):
        (home / folder).mkdir(parents=True)
    (home / "Annotations" / "000001.xml").write_text(f"<annotation>{found}</annotation>")
    (home / "ImageSets" / "Main" / "train.txt").write_text("000001\n")
    _picture(home / "JPEGImages" / "000001.jpg", (300, 320), mode="L")


def make_sen12(root: Path) -> None:
    igbp = np.full((32, 32), 10, np.int16)
    igbp[:8] = 13
    igbp[8] = 17
    for season, scene, patch in (("ROIs1158_spring", 1, 30), ("ROIs1868_summer", 146, 202), ("ROIs1158_spring", 15, 3)):
        for kind, bands in (("lc", 4), ("s1", 2), ("s2", 13)):
            path = root / season / f"{kind}_{scene}" / f"{season}_{kind}_{scene}_p{patch}.tif"
            pixels = np.stack([igbp] * bands) if kind == "lc" else np.full((bands, 32, 32), 500)
            write_raster(path, pixels.astype(np.float32 if kind == "s1" else np.uint16))


def make_so2sat(root: Path) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(root / "training.h5", "w") as file:
        file["sen1"], file["sen2"] = rng.normal(size=(3, 32, 32, 8)), rng.random((3, 32, 32, 10))
        file["label"] = np.eye(17)[[0, 16, 3]]


def make_bigearthnet(root: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tile, sar = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP", "S1A_IW_GRDH_1SDV_20170613T165043"
    labels = (["Pastures", "Beaches, dunes, sands", "Arable land"], ["Pastures"], ["Inland waters"])
    rows = [
        {
            "patch_id": f"{tile}_26_{number}",
            "labels": names,
            "split": "validation" if number == 2 else "train",
            "s1_name": f"{sar}_33UUP_26_{number}",
            "contains_seasonal_snow": number == 1,
            "contains_cloud_or_shadow": False,
        }
        for number, names in enumerate(labels)
    ]
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), root / "metadata.parquet")
    sizes = dict.fromkeys(("B02", "B03", "B04", "B08"), 120) | dict.fromkeys(("B01", "B09"), 20)
    for band in ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"):
        name = f"{tile}_26_0"
        _band(root / "BigEarthNet-S2" / tile / name / f"{name}_{band}.tif", sizes.get(band, 60), np.uint16)
    for band in ("VV", "VH"):
        name = f"{sar}_33UUP_26_0"
        _band(root / "BigEarthNet-S1" / sar / name / f"{name}_{band}.tif", 120, np.float32)


def make_eurosat(root: Path) -> None:
    home = root / "ds" / "images" / "remote_sensing" / "otherDatasets" / "sentinel_2" / "tif"
    for theme, number in (("AnnualCrop", 1), ("AnnualCrop", 2), ("SeaLake", 1)):
        _picture(root / "2750" / theme / f"{theme}_{number}.jpg", (64, 64))
        write_raster(home / theme / f"{theme}_{number}.tif", np.full((13, 64, 64), 900, np.uint16))
    (root / "eurosat-val.txt").write_text("AnnualCrop_2.jpg\nSeaLake_1.jpg\n")


SPACENET_ORIGIN = (733600.0, 3725000.0)
"""Map position of the chip's upper left corner, in metres of EPSG:32616; a pixel is 0.5 m."""


def make_spacenet(root: Path) -> None:
    area = root / "AOI_6_Atlanta"
    for number, corners in ((1, ((10, 20, 40, 60), (90, 70, 130, 95))), (2, ())):
        chip = area / "PAN" / f"PAN_AOI_6_Atlanta_img{number}.tif"
        write_raster(chip, np.full((1, 100, 100), 700, np.uint16), georeferenced=True)
        label = area / "geojson" / "buildings" / f"buildings_AOI_6_Atlanta_img{number}.geojson"
        _json(label, footprints(*corners))


def footprints(*boxes: tuple[float, float, float, float]) -> dict[str, Any]:
    def ring(x1: float, y1: float, x2: float, y2: float) -> list[list[float]]:
        pixels = ((x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1))
        return [[SPACENET_ORIGIN[0] + x / 2, SPACENET_ORIGIN[1] - y / 2, 0.0] for x, y in pixels]

    shapes = [{"type": "Polygon", "coordinates": [ring(*box)]} for box in boxes]
    features = [{"type": "Feature", "properties": {"building": "yes"}, "geometry": shape} for shape in shapes]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}
    return {"type": "FeatureCollection", "crs": crs, "features": features}


# Files


def write_raster(path: Path, pixels: np.ndarray, *, georeferenced: bool = False, size_m: float = 0.5) -> None:
    """Write (bands, rows, cols) as a GeoTIFF."""
    import rasterio

    from vlm.dataset import quiet

    path.parent.mkdir(parents=True, exist_ok=True)
    bands, rows, cols = pixels.shape
    place = {}
    if georeferenced:
        corner = rasterio.transform.from_origin(*SPACENET_ORIGIN, size_m, size_m)
        place = {"crs": "EPSG:32616", "transform": corner}
    shape = {"height": rows, "width": cols, "count": bands, "dtype": pixels.dtype.name}
    with quiet(), rasterio.open(path, "w", driver="GTiff", **shape, **place) as dataset:
        dataset.write(pixels)


def write_tar(path: Path, records: Mapping[str, Mapping[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, files in records.items():
            for kind, data in files.items():
                member = tarfile.TarInfo(f"./{key}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _band(path: Path, size_px: int, dtype: type) -> None:
    write_raster(path, np.full((1, size_px, size_px), 5, dtype), georeferenced=True, size_m=1200 / size_px)


def _encoded(size: tuple[int, int], form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    _noise(size).save(stream, format=form)
    return stream.getvalue()


def _noise(size: tuple[int, int], mode: str = "RGB") -> Picture.Image:
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    return Picture.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))


def _picture(path: Path, size: tuple[int, int], *, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _noise(size, mode).save(path)


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


TEXT_MAKERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "ucm": (make_ucm, "train"),
    "sydney": (make_sydney, "train"),
    "rsitmd": (make_rsitmd, "train"),
    "nwpu_captions": (make_nwpu_captions, "train"),
    "rs5m": (make_rs5m, "train"),
    "skyscript": (make_skyscript, "train"),
    "chatearthnet": (make_chatearthnet, "train"),
    "rsteller": (make_rsteller, "train"),
    "rsivqa": (make_rsivqa, "all"),
    "earthvqa": (make_earthvqa, "train"),
    "floodnet": (make_floodnet, "train"),
    "lrs_vqa": (make_lrs_vqa, "test"),
    "rsvlm_qa": (make_rsvlm_qa, "all"),
    "mstar": (make_mstar, "train"),
    "sen12": (make_sen12, "train"),
    "so2sat": (make_so2sat, "train"),
    "bigearthnet": (make_bigearthnet, "train"),
    "eurosat": (make_eurosat, "all"),
    "spacenet": (make_spacenet, "train"),
}


def make_of_test(test: str, root: Path) -> Path:
    """Make the dataset that a test's name begins with: test_rs5m_... gets rs5m."""
    name = max((name for name in TEXT_MAKERS if test.startswith(f"test_{name}_")), key=len)
    TEXT_MAKERS[name][0](root)
    return root
