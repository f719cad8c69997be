"""Training draws from stores what it draws from memory, and reads what is embedded in them as serving reads files."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_engine.corpus import Corpus, build_corpus, place_samples
from data_engine.stage import StageOptions
from data_engine.store import read_samples
from data_engine.store.rows import Rows
from tests.data_engine.made_corpora import store
from tests.vlm.made_rasters import checker, write_raster
from train.mixture import Feed, group_feed
from train.nano import build_feeds, find_places, tokenizer_samples
from train.pictures import load_rgb
from train.recipes import Recipe, Share, smoke
from train.telling import told_feed
from vlm.errors import DataError
from vlm.geometry.shapes import Window
from vlm.raster import Raster
from vlm.records import Image, Sample


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store of six synthetic places, two of them pairs of dates."""
    folder = tmp_path_factory.mktemp("places")
    build_corpus(Corpus("six", places=6), folder, folder / "data", options=StageOptions())
    return folder / "data" / "synth"


def drawn_alike(first: Feed, second: Feed, draws: int = 25) -> bool:
    """Say whether two feeds draw the same conversations."""
    pairs = [(first(random.Random(seed)), second(random.Random(seed))) for seed in range(draws)]
    return all(
        one.turns == other.turns and all(map(np.array_equal, one.pictures, other.pictures)) for one, other in pairs
    )


def test_a_store_draws_what_the_same_samples_in_memory_draw(places: Path) -> None:
    rows, listed = Rows(places), list(read_samples(places))
    assert drawn_alike(group_feed(rows), group_feed(listed))
    assert drawn_alike(group_feed(rows, places=True), group_feed(listed, places=True))
    assert rows.place_counts().tolist() == [len(sample.turns[0].answer.regions) for sample in listed]
    assert drawn_alike(told_feed(rows), told_feed(listed))
    parts = [listed[:20], listed[20:]]
    assert drawn_alike(told_feed(*parts), told_feed(listed))


@pytest.mark.parametrize(("count", "dtype"), [(13, "uint16"), (1, "uint16"), (4, "float32"), (3, "uint8")])
def test_embedded_rasters_are_rendered_as_files_are(tmp_path: Path, count: int, dtype: str) -> None:
    bands = checker(count, 32, 48).astype(dtype) * (37 if dtype == "uint16" else 1)
    path = write_raster(tmp_path / "a.tif", bands)
    names = tuple(f"B{k + 1}" for k in range(count)) if count == 13 else ()
    samples = [
        replace(next(place_samples(0)), id=f"s/{number}", images=(replace(image, width=48, height=32, bands=names),))
        for number, image in enumerate([Image(path=str(path)), Image(data=path.read_bytes())])
    ]
    with Raster.open(samples[0].images[0]) as raster:
        shown = raster.read(Window(0, 0, 48, 32), (48, 32), raster.renderings(None)[0]).rgb
    for sample in Rows(store(tmp_path / "store", samples)):
        assert np.array_equal(load_rgb(sample.images[0]), shown)


def recipe(*shares: Share, scenes: int = 0) -> Recipe:
    """Give a recipe of these shares."""
    return replace(smoke(), shares=shares, scenes=scenes)


def test_a_recipe_is_fed_by_the_stores_of_its_data(places: Path, tmp_path: Path) -> None:
    data = places.parent
    feeds = build_feeds(recipe(Share("synth", 0.5), scenes=6), data, tmp_path, told=0.2)
    assert [weight for _, weight in feeds] == [0.5, 1.0, pytest.approx(0.2 / 0.8 * 1.5)]
    assert drawn_alike(feeds[0][0], group_feed(list(read_samples(places))))
    assert list(tmp_path.iterdir()) == [], "the data hold a store of places"
    with pytest.raises(DataError, match="holds no samples of the split val"):
        build_feeds(recipe(Share("synth", 0.5, "val")), data, tmp_path)
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        build_feeds(recipe(Share("elsewhere", 0.5)), data, tmp_path)


def test_places_are_rendered_once_where_the_data_have_none(tmp_path: Path) -> None:
    asked = recipe(scenes=2)
    folder = find_places(asked, tmp_path / "nowhere", tmp_path / "out")
    written = (folder / "manifest.json").stat().st_mtime_ns
    assert find_places(asked, tmp_path / "nowhere", tmp_path / "out") == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == written
    assert list(read_samples(folder)) == [sample for number in range(2) for sample in place_samples(number)]


def test_the_tokenizer_learns_from_one_variant_and_the_first_places(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = list(read_samples(places))
    again = [replace(sample, turns=listed[0].turns) for sample in listed]
    store(tmp_path / "twice", [*listed, *again])

    def ids(samples: list[Sample]) -> list[str]:
        return [sample.id for sample in samples]

    (tmp_path / "synth").symlink_to(places)
    found = list(tokenizer_samples(recipe(Share("twice", 1.0)), tmp_path, tmp_path))
    assert found == listed
    monkeypatch.setattr("train.nano.TOKENIZER_PLACES", 2)
    found = list(tokenizer_samples(recipe(scenes=6), tmp_path, tmp_path))
    assert ids(found) == ids([sample for number in range(2) for sample in place_samples(number)])
