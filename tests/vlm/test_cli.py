"""The command line: pure output, one sentence per refusal, and nothing heavy before it is needed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image as PILImage
from rasterio.crs import CRS

from tests.vlm.fake_nadir import FakeNadir
from tests.vlm.made_rasters import UTM, checker, with_gcps, with_gcps_on_a_line, write_raster
from vlm.cli import Format, main
from vlm.cli_ask import choose_format, parse_words
from vlm.demo import load_cases, select_cases
from vlm.errors import DataError, InstructionError, OutputError
from vlm.geometry.shapes import HBB, Window
from vlm.records import TASKS
from vlm.vector import FORMATS


@pytest.fixture
def scene(tmp_path: Path) -> str:
    return str(write_raster(tmp_path / "scene.tif", checker(3, 120, 160), **UTM))


@pytest.fixture
def later(tmp_path: Path) -> str:
    return str(write_raster(tmp_path / "later.tif", checker(3, 120, 160, seed=1), **UTM))


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A directory that says how it cuts images, and no more."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "nadir"}')
    sizes = {"tile_px": 64, "tokens_per_tile": 18, "default_tiles": 5, "fit_factor": 1.25}
    (folder / "processor_config.json").write_text(json.dumps(sizes))
    (folder / "model.safetensors").write_bytes(b"")
    return str(folder)


@pytest.fixture
def nadir(monkeypatch: pytest.MonkeyPatch) -> FakeNadir:
    fake = FakeNadir()
    monkeypatch.setattr("vlm.cli_ask.load_nadir", lambda model: fake)
    monkeypatch.setattr("vlm.demo.load_nadir", lambda model: fake)
    return fake


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(stop.value.code or 0)


def test_ask_says_the_answer_and_its_cost(scene: str, nadir: FakeNadir, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", scene, "Where are the ships?", "--task", "detect", "--budget", "9") == 0
    out = capsys.readouterr().out
    assert out.startswith("There are two {ships}: [1] [2]")
    assert "cost: 5 tiles" in out
    images, instruction, options = nadir.asked[0]
    assert (images, instruction) == ((scene,), "Where are the ships?")
    assert (options["task"], options["budget"], options["window"]) == ("detect", 9, None)


def test_two_images_are_two_dates(scene: str, later: str, nadir: FakeNadir) -> None:
    assert run("ask", scene, later, "What changed?") == 0
    assert nadir.asked[0][0] == (scene, later)


def test_more_images_are_more_dates(scene: str, later: str, nadir: FakeNadir, tmp_path: Path) -> None:
    out = tmp_path / "three.png"
    assert run("ask", scene, later, scene, "What changed?", "--region", "3:10,10,50,50", "--out", str(out)) == 0
    assert nadir.asked[0][0] == (scene, later, scene)
    assert [region.image for region in nadir.asked[0][2]["regions"]] == [2]
    with PILImage.open(out) as picture:
        assert picture.width > 3 * 160


def test_json_and_geojson_on_the_terminal_are_nothing_else(
    scene: str, nadir: FakeNadir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", scene, "Where?", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["regions"][0]["phrase"] == "ship"
    assert run("ask", scene, "Where?", "--format", "geojson") == 0
    assert json.loads(capsys.readouterr().out)["type"] == "FeatureCollection"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.json", b'{"instruction"'),
        ("a.geojson", b"{"),
        ("a.txt", b"There are"),
        ("a.html", b"<!doctype html>"),
        ("a.png", b"\x89PNG"),
        ("a.gpkg", b"SQLite format 3"),
        ("a.parquet", b"PAR1"),
    ],
)
def test_the_suffix_names_the_format(
    name: str, start: bytes, scene: str, tmp_path: Path, nadir: FakeNadir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", scene, "Where?", "--out", str(tmp_path / name)) == 0
    assert (tmp_path / name).read_bytes().startswith(start)
    assert capsys.readouterr().out == ""


def test_windows_boxes_bands_and_regions_reach_the_model(scene: str, nadir: FakeNadir) -> None:
    words = ("ask", scene, "What is here?", "--bands", "3,2,1", "--region", "10,10,50,50", "--region", "1,1,9,9")
    assert run(*words, "--window", "8,16,64,32") == 0
    options = nadir.asked[0][2]
    assert options["window"] == Window(8, 16, 64, 32)
    assert options["bands"] == "3,2,1"
    assert [region.geometry for region in options["regions"]] == [HBB(10, 10, 50, 50), HBB(1, 1, 9, 9)]


def test_a_region_may_lie_in_the_second_date(scene: str, later: str, nadir: FakeNadir) -> None:
    assert run("ask", scene, later, "What is here?", "--region", "2:10,10,50,50", "--bands", "true+3,2,1") == 0
    options = nadir.asked[0][2]
    assert [(region.image, region.geometry) for region in options["regions"]] == [(1, HBB(10, 10, 50, 50))]
    assert options["bands"] == "true+3,2,1"


def test_labels_go_into_a_folder_that_may_be_there(scene: str, tmp_path: Path, nadir: FakeNadir) -> None:
    for format in ("dota", "yolo", "yolo-obb", "yolo-seg"):
        for _ in range(2):
            assert run("ask", scene, "Where?", "--format", format, "--out", str(tmp_path / format)) == 0
        assert (tmp_path / format / "scene.txt").is_file()
    assert run("ask", scene, "Where?", "--format", "coco", "--out", str(tmp_path / "coco.json")) == 0
    assert json.loads((tmp_path / "coco.json").read_text())["images"][0]["file_name"] == "scene.tif"


def test_a_bbox_becomes_a_window(scene: str, nadir: FakeNadir) -> None:
    from vlm.raster import Raster

    with Raster.open(scene) as raster:
        west, north = raster.grid.to_wgs84(20.0, 20.0)
        east, south = raster.grid.to_wgs84(60.0, 50.0)
    assert run("ask", scene, "What is here?", "--bbox", f"{west},{south},{east},{north}") == 0
    window = nadir.asked[0][2]["window"]
    assert (window.x, window.y) == pytest.approx((20, 20), abs=2)


def test_the_offered_formats_are_those_that_can_be_written() -> None:
    assert set(get_args(Format)) == {"text", "json", "png", "html", *FORMATS}


def test_words_are_images_and_an_instruction(scene: str) -> None:
    assert parse_words([scene, "Where?"]) == ((scene,), "Where?")
    for words in ([scene], ["Where?"], [scene, scene], [scene, " "], [scene, "where", "are", "ships"]):
        with pytest.raises(InstructionError):
            parse_words(words)


def test_files_are_not_poured_into_the_terminal() -> None:
    assert choose_format(None, None) == "text"
    assert choose_format("coco", Path("a.json")) == "coco"
    with pytest.raises(OutputError, match="--out"):
        choose_format("gpkg", None)
    with pytest.raises(OutputError, match="names no format"):
        choose_format(None, Path("a.shp"))


def test_info_says_what_asking_would_cost(scene: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", scene, "--model", model) == 0
    text = capsys.readouterr().out
    for word in ("160 x 120 px", "EPSG:32616", "0.5 m a pixel", "uint8", "true", "5 tiles, 90 visual tokens"):
        assert word in text
    assert run("info", scene, "--model", model, "--json", "--budget", "2") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["tiles"], facts["visual_tokens"]) == (160, len(facts["windows"]), facts["tiles"] * 18)
    assert facts["tiles"] <= 2


def test_info_says_what_hides_pixels_and_what_turns_them(
    scene: str, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = PILImage.open(scene)
    picture.convert("RGBA").save(tmp_path / "alpha.png")
    exif = PILImage.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    floats = write_raster(tmp_path / "float.tif", checker(1, 40, 40).astype("float32"), nodata=-9999.0)
    expected = {
        str(tmp_path / "alpha.png"): ("nodata    what alpha makes transparent\n", "alpha", 1),
        str(tmp_path / "turned.jpg"): ("160 x 120 px, JPEG (EXIF orientation 6 asks viewers to turn it", None, 6),
        str(floats): ("nodata    NaN, and -9999\n", "NaN", 1),
        scene: ("nodata    none\n", None, 1),
    }
    for path, (words, masked_by, orientation) in expected.items():
        assert run("info", path, "--model", model) == 0
        assert words in capsys.readouterr().out
        assert run("info", path, "--model", model, "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["masked_by"], facts["exif_orientation"]) == (masked_by, orientation)


def test_info_says_how_well_control_points_fit(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(with_gcps(tmp_path / "gcps.tif"))
    assert run("info", path, "--model", model) == 0
    assert "ground control points, which fit within" in capsys.readouterr().out
    assert run("info", path, "--model", model, "--json") == 0
    assert json.loads(capsys.readouterr().out)["gcp_rms_px"] < 0.01


def test_an_image_with_control_points_on_a_line_is_answered_in_pixels(
    tmp_path: Path, model: str, nadir: FakeNadir, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(with_gcps_on_a_line(tmp_path / "line.tif"))
    assert run("info", path, "--model", model) == 0
    assert "4 ground control points lie on a line" in capsys.readouterr().out
    assert run("info", path, "--model", model, "--json") == 0
    assert "lie on a line" in json.loads(capsys.readouterr().out)["flaw"]
    assert run("ask", path, "Where?") == 0
    out = capsys.readouterr().out
    assert f"note: {path} is not on the map: its 4 ground control points lie on a line" in out and "°" not in out
    assert run("ask", path, "Where?", "--format", "html") == 0
    assert "points lie on a line" in capsys.readouterr().out
    assert run("ask", path, "Where?", "--format", "geojson") == 0
    assert json.loads(capsys.readouterr().out)["crs"] is None
    assert run("ask", path, "Where?", "--bbox", "12,48,13,49") == 2
    assert "lie on a line" in capsys.readouterr().err


def test_an_image_whose_crs_cannot_be_right_is_answered_in_pixels(
    tmp_path: Path, model: str, nadir: FakeNadir, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_raster(tmp_path / "odd.tif", checker(3, 60, 60), crs="EPSG:4326", transform=UTM["transform"]))
    assert run("info", path, "--model", model) == 0
    assert "are no degrees of longitude and latitude; they may be metres, so answers" in capsys.readouterr().out
    assert run("ask", path, "Where?") == 0
    out = capsys.readouterr().out
    assert f"note: {path} is not on the map: its coordinates (x 733,601" in out and "°" not in out


def test_info_says_that_a_local_crs_is_no_place(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    crs = CRS.from_wkt('LOCAL_CS["Site",UNIT["metre",1]]')
    path = str(write_raster(tmp_path / "site.tif", checker(3, 40, 40), crs=crs, transform=UTM["transform"]))
    assert run("info", path, "--model", model) == 0
    assert "answers come in pixels" in capsys.readouterr().out


def test_info_loads_neither_torch_nor_pandas(scene: str, model: str) -> None:
    code = (
        "import sys; from vlm.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'transformers', 'pandas', 'geopandas', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, "info", scene, "--model", model], check=True)


def test_chat_keeps_the_images_and_reads_lines(
    scene: str, nadir: FakeNadir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Where are the ships?\nHow many?\n\nnever asked\n"))
    assert run("chat", scene) == 0
    assert [question for _, question, _ in nadir.asked] == ["Where are the ships?", "How many?"]
    assert capsys.readouterr().out.count("There are two") == 2


def test_demo_writes_three_files_and_a_line_of_json(
    scene: str, later: str, tmp_path: Path, nadir: FakeNadir, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "demo"
    assert run("demo", "--image", scene, "--image2", later, "--ask", "What changed?", "--out", str(out)) == 0
    assert {path.name for path in out.iterdir()} == {"report.html", "answers.json", "answers.geojson"}
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["answers"] == len(nadir.asked) == 1
    assert nadir.asked[0][0] == (scene, later)
    (row,) = json.loads((out / "answers.json").read_text())
    assert row["instruction"] == "What changed?"
    assert row["images"] == [scene, later]


def test_demo_cases_come_from_a_file_beside_their_images(scene: str, tmp_path: Path, nadir: FakeNadir) -> None:
    rows = [
        {"images": ["scene.tif"], "instruction": "Describe the image.", "task": "caption", "title": "A harbour"},
        {"images": ["scene.tif"], "instruction": "Where are the ships?"},
    ]
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps(rows))
    assert run("demo", "--cases", str(cases), "--out", str(tmp_path / "out")) == 0
    assert [options["task"] for _, _, options in nadir.asked] == ["caption", None]
    assert nadir.asked[0][0] == (scene,)
    assert "A harbour" in (tmp_path / "out" / "report.html").read_text()


def test_an_instruction_beside_cases_is_asked_of_each_scene(scene: str, later: str, tmp_path: Path) -> None:
    rows = [
        {"images": ["scene.tif"], "instruction": "Describe the image."},
        {"images": ["scene.tif"], "instruction": "Where are the ships?"},
        {"images": ["scene.tif", "later.tif"], "instruction": "What has changed?"},
    ]
    (tmp_path / "cases.json").write_text(json.dumps(rows))
    asked = select_cases(cases_file=tmp_path / "cases.json", images=[], instructions=["Is there water?"])
    assert [(case.images, case.instruction) for case in asked] == [
        ((scene,), "Is there water?"), ((scene, later), "Is there water?"),
    ]  # fmt: skip
    assert len(select_cases(cases_file=tmp_path / "cases.json", images=[], instructions=[])) == 3


def make_demo(*variables: str) -> str:
    """Give what `make demo` with these variables would hand to nadir, by a nadir that says its words."""
    root = Path(__file__).resolve().parents[2]
    quoted = ["demo", "INSTALLED=", "PY=true", "NADIR=printf '<%s>'", "OUT=out", *variables]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-s", *quoted], cwd=root, capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ((), "<demo><--cases><out/images/cases.json><--out><out>"),
        (("ASK=Is it?",), "<demo><--cases><out/images/cases.json><--ask><Is it?><--out><out>"),
        (("IMAGE=a b.tif", "ASK=Is it?"), "<demo><--image><a b.tif><--ask><Is it?><--out><out>"),
        (("IMAGE=a.tif", "IMAGE2=b.tif"), "<demo><--image><a.tif><--image2><b.tif><--out><out>"),
        (("IMAGE2=b.tif",), "<demo><--image2><b.tif><--out><out>"),
    ],
)
def test_make_demo_hands_on_every_variable(variables: tuple[str, ...], words: str) -> None:
    assert make_demo(*variables) == words


def test_demo_without_an_instruction_asks_a_sensible_set() -> None:
    single = select_cases(cases_file=None, images=["a.tif"], instructions=[])
    pair = select_cases(cases_file=None, images=["a.tif", "b.tif"], instructions=[])
    assert {case.task for case in single} >= {"caption", "classify", "vqa", "count", "detect", "segment"}
    assert {case.task for case in pair} - {case.task for case in single} == {"change"}
    assert all(case.task in TASKS for case in pair)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "3",
        "[[1]]",
        '[{"images": "a.tif", "instruction": "?"}]',
        '[{"images": ["a.tif"]}]',
        '[{"images": [], "instruction": "?", "task": "x"}]',
    ],
)
def test_a_file_that_holds_no_cases_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "cases.json").write_text(text)
    with pytest.raises(DataError):
        load_cases(tmp_path / "cases.json")


@pytest.fixture
def real_model(request: pytest.FixtureRequest) -> str:
    """A tiny checkpoint of the real architecture."""
    try:
        return str(request.getfixturevalue("tiny_model_dir"))
    except pytest.FixtureLookupError:
        pytest.skip("needs the fixture tiny_model_dir, which writes a tiny checkpoint")


def test_a_real_checkpoint_answers_from_end_to_end(
    scene: str, later: str, real_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", scene, later, "What changed?", "--format", "json", "--model", real_model) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["cost"]["visual_tokens"] > 0
    assert {step["image"] for step in answer["trace"]} == {0, 1}
    assert run("demo", "--image", scene, "--ask", "Where?", "--out", str(tmp_path / "o"), "--model", real_model) == 0
    assert (tmp_path / "o" / "report.html").stat().st_size > 1000


def test_info_plans_what_a_real_checkpoint_reads(
    scene: str, real_model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", scene, "--json", "--model", real_model) == 0
    planned = json.loads(capsys.readouterr().out)
    assert run("ask", scene, "Where?", "--format", "json", "--model", real_model) == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert (planned["tiles"], planned["visual_tokens"]) == (cost["tiles"], cost["visual_tokens"])
