"""Every mistake a user can make is one sentence on stderr, exit status 2, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.vlm.fake_nadir import FakeNadir
from tests.vlm.made_rasters import UTM, checker, write_raster
from vlm import errors
from vlm.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with good imagery and everything that can be wrong with it."""
    bands = checker(3, 120, 160)
    write_raster(tmp_path / "good.tif", bands, **UTM)
    elsewhere = UTM | {
        "transform": UTM["transform"].translation(100_000, 4_000_000) @ UTM["transform"].scale(0.5, -0.5)
    }
    write_raster(tmp_path / "elsewhere.tif", bands, **elsewhere)
    write_raster(tmp_path / "plain.tif", bands)
    write_raster(tmp_path / "other_size.tif", checker(3, 60, 60))
    hole = bands.copy()
    hole[:, :60, :60] = 0
    write_raster(tmp_path / "hole.tif", hole, nodata=0, **UTM)
    write_raster(tmp_path / "void.tif", np.zeros_like(bands), nodata=0, **UTM)
    (tmp_path / "empty.tif").write_bytes(b"")
    write_raster(tmp_path / "cut.tif", bands)
    cut = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(cut[: len(cut) // 3])
    (tmp_path / "words.tif").write_text("this is no image")
    (tmp_path / "broken.geojson").write_text('{"type": "Polygon", "coordinates": [[[1, 2')
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "nadir"}')
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "llava"}')
    (tmp_path / "other" / "model.safetensors").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    return tmp_path


# (what is typed, with {} for the folder; what the sentence must say)
MISTAKES = {
    "missing file": (["ask", "{}/no.tif", "Where?"], "no.tif does not exist"),
    "0-byte file": (["ask", "{}/empty.tif", "Where?"], "0 bytes"),
    "truncated file": (["ask", "{}/cut.tif", "Where?"], "cut.tif"),
    "no image": (["ask", "{}/words.tif", "Where?"], "cannot be opened as an image"),
    "unknown band": (["ask", "{}/good.tif", "Where?", "--bands", "7,2,1"], "7"),
    "unknown preset": (["ask", "{}/good.tif", "Where?", "--bands", "sparkles"], "sparkles"),
    "empty instruction": (["ask", "{}/good.tif", " "], "instruction is empty"),
    "no instruction": (["ask", "{}/good.tif"], "expected an image and then an instruction"),
    "unquoted instruction": (["ask", "{}/good.tif", "where", "are", "ships"], "quotation marks"),
    "bbox outside": (["ask", "{}/good.tif", "Where?", "--bbox", "2,48,3,49"], "outside"),
    "bbox no numbers": (["ask", "{}/good.tif", "Where?", "--bbox", "here"], "not four numbers"),
    "bbox without a map": (["ask", "{}/plain.tif", "Where?", "--bbox", "2,48,3,49"], "georeference"),
    "window outside": (["ask", "{}/good.tif", "Where?", "--window", "900,0,10,10"], "outside"),
    "window no numbers": (["ask", "{}/good.tif", "Where?", "--window", "1,2"], "four whole numbers"),
    "window and bbox": (["ask", "{}/good.tif", "?", "--window", "0,0,9,9", "--bbox", "2,48,3,49"], "give one of them"),
    "all-nodata window": (["ask", "{}/hole.tif", "Where?", "--window", "0,0,50,50"], "no valid pixel"),
    "all-nodata image": (["ask", "{}/void.tif", "Where?"], "no valid pixel"),
    "pair apart": (["ask", "{}/good.tif", "{}/elsewhere.tif", "Changed?"], "do not overlap"),
    "pair of two sizes": (["ask", "{}/plain.tif", "{}/other_size.tif", "Changed?"], "60 x 60"),
    "missing second date": (["ask", "{}/good.tif", "{}/no.tif", "Changed?"], "no.tif does not exist"),
    "broken region file": (["ask", "{}/good.tif", "?", "--region", "{}/broken.geojson"], "broken.geojson is not JSON"),
    "missing region file": (["ask", "{}/good.tif", "?", "--region", "{}/no.geojson"], "cannot be read"),
    "region outside": (["ask", "{}/good.tif", "?", "--region", "500,500,600,600"], "outside the image"),
    "region of no image": (["ask", "{}/good.tif", "?", "--region", "2:box:1,1,9,9"], "lies in image 2"),
    "unknown dialect": (["ask", "{}/good.tif", "?", "--dialect", "klingon"], "no dialect is called"),
    "region no numbers": (["ask", "{}/good.tif", "?", "--region", "the ship"], "not a list of numbers"),
    "output folder missing": (["ask", "{}/good.tif", "?", "--out", "{}/no/a.json"], "does not exist"),
    "output is a folder": (["ask", "{}/good.tif", "?", "--format", "json", "--out", "{}/model"], "is a folder"),
    "output below a file": (["ask", "{}/good.tif", "?", "--out", "{}/good.tif/a.json"], "cannot be written"),
    "output of no format": (["ask", "{}/good.tif", "?", "--out", "{}/a.shp"], "names no format"),
    "a file format on the terminal": (["ask", "{}/good.tif", "?", "--format", "gpkg"], "--out FILE"),
    "model without config": (["info", "{}/good.tif", "--model", "{}/nothing"], "no config.json"),
    "model without weights": (["info", "{}/good.tif", "--model", "{}/model"], "no weights"),
    "model of another architecture": (["info", "{}/good.tif", "--model", "{}/other"], "'llava'"),
    "demo of nothing": (["demo"], "--cases FILE or --image IMAGE"),
    "demo of a second date alone": (["demo", "--image2", "{}/good.tif"], "name the first date"),
    "demo of cases and images": (["demo", "--cases", "{}/no.json", "--image", "{}/good.tif"], "give one of them"),
    "demo without cases": (["demo", "--cases", "{}/no.json"], "no.json"),
    "demo into a file": (["demo", "--image", "{}/good.tif", "--out", "{}/good.tif"], "file where a folder"),
    "more dates than the model takes": (["ask", *["{}/good.tif"] * 9, "?"], "got 9 images: this model takes 8 dates"),
    "chat about too many dates": (["chat", *["{}/good.tif"] * 9], "got 9 images: this model takes 8 dates"),
    "third date of another size": (["ask", *["{}/plain.tif"] * 2, "{}/other_size.tif", "Changed?"], "60 x 60"),
    "missing third date": (["ask", *["{}/good.tif"] * 2, "{}/no.tif", "Changed?"], "no.tif does not exist"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vlm.cli_ask.load_nadir", lambda model: FakeNadir())
    monkeypatch.setattr("vlm.demo.load_nadir", lambda model: FakeNadir())
    words, sentence = MISTAKES[name]
    with pytest.raises(SystemExit) as stop:
        main([word.replace("{}", str(folder)) for word in words])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("nadir: ")
    assert len(captured.err.strip().splitlines()) == 1
    assert "Traceback" not in captured.err
    assert sentence in captured.err


@pytest.mark.parametrize("name", ["model without config", "model without weights", "model of another architecture"])
def test_ask_refuses_a_model_directory_like_info(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, sentence = MISTAKES[name]
    model = words[-1].replace("{}", str(folder))
    with pytest.raises(SystemExit) as stop:
        main(["ask", f"{folder}/good.tif", "Where?", "--model", model])
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


def _broken_command(*words: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys, vlm.cli, vlm.cli_info\n"
        "def explode(*args, **options): raise ValueError('the sky\\nfell')\n"
        "vlm.cli_info.describe_image = explode\n"
        "vlm.cli.main(sys.argv[1:])"
    )
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def test_an_unexpected_error_is_a_sentence_too_and_says_how_to_see_more() -> None:
    done = _broken_command("info", "a.tif")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "unexpected ValueError: the sky fell" in done.stderr
    assert "--debug" in done.stderr


def test_debug_shows_the_traceback() -> None:
    done = _broken_command("--debug", "info", "a.tif")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: the sky" in done.stderr


def test_every_error_is_drawn_in_the_tree_and_has_one_root() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(each, errors.NadirError) for each in classes)
    assert all(each.__name__ in (errors.__doc__ or "") for each in classes)
