"""The verb generate: stores, official layouts and maps become instructions, and the ledger adds up."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from data_engine.__main__ import main
from data_engine.annotations import scene_to_sample
from data_engine.generate import segment_all
from data_engine.generation import Generate, find_maps, load_annotations, plan_inputs
from data_engine.intake import Chunk
from data_engine.objects import Scene, all_samples, seeded
from data_engine.stage import StageOptions, Unit, write_stage
from data_engine.store import Ledger, read_samples
from tests.data_engine.makers import make_dota, make_levir_cd
from tests.data_engine.test_recipes_maps import FEATURES, write_layer, write_raster
from vlm.errors import DataError
from vlm.geometry.shapes import HBB, Mask
from vlm.records import Image, Region


def scenes(count=3):
    for number in range(count):
        image = Image(path=f"{number}.png", width=400, height=300)
        regions = tuple(Region(HBB(x, 50, x + 20, 90), label) for x, label in ((10, "car"), (200, "car"), (350, "bus")))
        yield Scene(f"t/{number}", image, regions, (), ("car", "bus", "ship"), "t", "train", "l")


def write_store(folder, samples):
    samples = list(samples)

    def work(unit, ledger):
        ledger.read += len(samples)
        yield from samples

    write_stage("test", [Unit("all", len(samples), None)], work, folder, options=StageOptions())
    return folder


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as status:
        main(["--quiet", "generate", *map(str, arguments)])
    lines = capsys.readouterr().out.splitlines()
    return status.value.code, json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


def test_a_store_of_annotations_becomes_instructions(tmp_path, capsys):
    store = write_store(tmp_path / "in", map(scene_to_sample, scenes()))
    code, said = run(capsys, store, "--recipes", "ground,count", tmp_path / "out")
    assert code == 0
    made = list(read_samples(tmp_path / "out"))
    assert said["read"] == 3
    assert said["kept"] == len(made) == 3 + said["made"]
    assert {sample.task for sample in made} == {"ground", "count"}
    assert {sample.id.split("/")[2] for sample in made} == {"objects"}
    assert all(sample.source == "t" for sample in made)


def test_samples_about_one_image_are_read_as_one(tmp_path, capsys):
    given = [sample for scene in scenes() for sample in all_samples(scene)]
    store = write_store(tmp_path / "in", given)
    code, said = run(capsys, store, "--recipes", "relate,compare", tmp_path / "out")
    assert code == 0
    assert said["read"] == len(given)
    assert said["dropped"] == {"read with another": len(given) - 3}
    assert said["read"] + said["made"] == said["kept"] + len(given) - 3
    assert any(sample.id.startswith("t/0/compare-more/") for sample in read_samples(tmp_path / "out"))


def test_kept_samples_stand_beside_the_made_ones(tmp_path, capsys):
    given = list(map(scene_to_sample, scenes()))
    store = write_store(tmp_path / "in", given)
    _, said = run(capsys, store, "--recipes", "scene", "--keep", tmp_path / "out")
    assert list(read_samples(tmp_path / "out")) == given
    assert said["made"] == 0
    _, said = run(capsys, store, "--recipes", "scene", tmp_path / "none")
    assert said["dropped"] == {"nothing to ask": 3}


def test_a_recipe_that_fails_costs_its_own_samples():
    (scene,) = scenes(1)
    image = Image(path="0.png", width=100_000, height=100_000)
    cover = segment_all("car", Region(Mask(np.ones((2, 2), bool), HBB(0, 0, 2, 2)), "car"), seeded(0, ""))
    turns = (*scene_to_sample(scene).turns, cover)
    ledger = Ledger()
    large = replace(scene_to_sample(scene), images=(image,), turns=turns)
    made = list(Generate(("landcover", "count"))(Unit("u", 1, Chunk((large,), ())), ledger))
    ledger.kept = len(made)
    ledger.require_balance("generate")
    assert {sample.task for sample in made} == {"count"}
    assert ledger.dropped == {"failed": 1}
    assert "landcover: land cover of 100000 x 100000 px is too large" in ledger.rejected[0]["detail"]


def test_datasets_are_read_in_their_official_layout(tmp_path, capsys):
    make_dota(tmp_path / "dota")
    dataset = f"dota:{tmp_path / 'dota'}"
    code, said = run(capsys, dataset, "--split", "all", "--recipes", "detect,presence", tmp_path / "out")
    assert code == 0
    assert said["kept"] > 5
    made = {sample.id: sample for sample in read_samples(tmp_path / "out")}
    assert not any("small vehicle" in sample.turns[0].instruction for sample in made.values())


def test_a_missing_image_of_a_dataset_is_counted(tmp_path, capsys):
    make_dota(tmp_path / "dota")
    (tmp_path / "dota" / "images" / "P0001.png").unlink()
    words = ("--split", "all", "--recipes", "detect")
    code, said = run(capsys, f"dota:{tmp_path / 'dota'}", *words, tmp_path / "out")
    assert (code, said["read"], said["dropped"]) == (0, 2, {"missing image": 1})
    assert {sample.id.split("/")[2] for sample in read_samples(tmp_path / "out")} == {"P0002"}


def test_change_pairs_are_read_in_their_official_layout(tmp_path):
    make_levir_cd(tmp_path)
    split = "train"
    samples = list(load_annotations("levir_cd", tmp_path, split=split))
    assert samples
    assert all(len(sample.images) == 2 for sample in samples)
    with pytest.raises(DataError, match="has no scenes"):
        list(load_annotations("rsicd", tmp_path, split="train"))


def test_maps_are_found_beside_their_rasters(tmp_path, capsys):
    write_raster(tmp_path / "site.tif", np.zeros((3, 100, 200), np.uint8) + 90)
    write_raster(tmp_path / "site_landcover.tif", np.full((10, 20), 30, np.uint8), gsd_m=20.0)
    write_layer(tmp_path / "site_osm.geojson", FEATURES)
    write_layer(tmp_path / "region.geojson", FEATURES[:1])
    (found,) = find_maps(tmp_path, window_px=None)
    assert [path.name for path in found.layers] == ["site_osm.geojson", "region.geojson"]
    assert found.land_cover is not None
    code, said = run(capsys, tmp_path, "--recipes", "maps,landcover,ground", tmp_path / "out")
    assert code == 0
    assert (said["read"], said["dropped"]) == (2, {})
    tasks = {sample.task for sample in read_samples(tmp_path / "out")}
    assert {"caption", "count", "vqa", "ground"} <= tasks
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no raster with a map beside it"):
        find_maps(tmp_path / "empty", window_px=None)


def test_a_dry_run_touches_nothing(tmp_path, capsys):
    store = write_store(tmp_path / "in", map(scene_to_sample, scenes()))
    run(capsys, store, "--dry-run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inputs_that_are_nothing_are_refused():
    with pytest.raises(DataError, match="is no folder"):
        list(plan_inputs(["nowhere"], split="train", window_px=None))
    with pytest.raises(DataError, match="no source 'nothing'"):
        list(plan_inputs(["nothing:nowhere"], split="train", window_px=None))
