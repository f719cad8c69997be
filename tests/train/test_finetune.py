"""`nadir finetune` end to end on a made site; a stopped run goes on, and mistakes cost nothing."""

from __future__ import annotations

import json
import random
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from data_engine.own.labels import load_own
from data_engine.own.layers import LabelOptions
from data_engine.own.split import split_own
from data_engine.own.written import write_store, write_windows
from data_engine.store.rows import Rows
from tests.data_engine.made_sites import corners, squares, write_labels, write_raster
from tests.vlm.tiny import build_tiny
from train import finetune, own_rounds
from train.finetune import FinetuneConfig, choose_window, run_finetune
from train.own_rounds import ROUNDS, build_own_feeds, count_slots, has_pointer, tell_in_order
from train.own_scores import ask_model
from vlm.checkpoint import save_checkpoint
from vlm.cli import app, main
from vlm.errors import DataError, InputError, OutputError

PLACES = corners(192)
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "finetune.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.M | re.S)
    for line in block.splitlines()
    if "nadir" in line
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with site.tif, labels.geojson in degrees, and tiny/, a model."""
    folder = tmp_path_factory.mktemp("site")
    write_raster(folder / "site.tif", PLACES, side=192)
    write_labels(folder / "labels.geojson", squares(PLACES), crs="EPSG:4326")
    save_checkpoint(*build_tiny(), folder / "tiny")
    return folder


@pytest.fixture
def words(site: Path, tmp_path: Path) -> list[str]:
    paths = [str(site / "site.tif"), str(site / "labels.geojson")]
    return ["finetune", *paths, "--model", str(site / "tiny"), "--out", str(tmp_path / "out"), "--window-px", "64"]


def config_of(site: Path, **settings: Any) -> FinetuneConfig:
    given = {"window_px": 64, "model": str(site / "tiny"), "minutes": 0.02, **settings}
    return FinetuneConfig(str(site / "site.tif"), str(site / "labels.geojson"), **given)


def run_command(words: list[str]) -> int:
    """Run a command as the shell does and give its status."""
    try:
        main(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.slow
def test_the_page_is_true_and_a_stopped_run_goes_on(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the commands of docs/finetune.md, the tuning stopped once before the last scores."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "north.tif").symlink_to(site / "site.tif")
    (tmp_path / "labels.geojson").symlink_to(site / "labels.geojson")
    smaller = ["--model", str(site / "tiny"), "--window-px", "64", "--minutes", "0.02", "--tasks", "detect,count"]
    dry, tune, ask = (shlex.split(command)[1:] for command in COMMANDS)
    assert run_command([*dry, *smaller]) == 0 and not (tmp_path / "out").exists()
    asked = ask_model

    def stopped(cases: Path, out: Path, model: Path | None, *, blind: bool, name: str) -> Any:
        if name == "after":
            raise KeyboardInterrupt
        return asked(cases, out, model, blind=blind, name=name)

    monkeypatch.setattr(finetune, "ask_model", stopped)
    assert run_command([*tune, *smaller]) == 130
    out = tmp_path / "out" / "tanks"
    parts = [out / part for part in ("rounds", "before", "data/train")]
    written = [path for part in parts for path in part.rglob("*") if path.suffix in (".safetensors", ".parquet")]
    kept = {path: path.stat().st_mtime_ns for path in written}
    assert kept
    monkeypatch.setattr(finetune, "ask_model", asked)
    capsys.readouterr()
    assert run_command([*tune, *smaller]) == 0
    assert kept == {path: path.stat().st_mtime_ns for path in kept}, "what was done is not done again"
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(told) == {"labels-detect", "labels-ground", "labels-count"}
    check_report(out)
    assert run_command(ask) == 0
    assert json.loads((tmp_path / "tanks.geojson").read_text())["type"] == "FeatureCollection"


def test_the_page_names_every_option_and_no_other() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {option for parameter in commands["finetune"].params for option in parameter.opts if option[0] == "-"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert known <= named, f"the page leaves out {known - named}"
    assert named <= known | {"--window"}, named - known


def check_report(out: Path) -> None:
    """Check that the report has all scores, and that what it links to is there."""
    result = json.loads((out / "result.json").read_text())
    for row in result["rows"]:
        assert row["n"] > 0 and {"value", "standard_error", "n"} == set(row["after"]) == set(row["before"])
        assert row["blind"] is not None and row["baseline"]
    assert (out / "model" / "model.safetensors").is_file() and (out / "comparison.md").is_file()
    for page in ("report.md", "report.html"):
        text = (out / page).read_text()
        assert "nadir ask" in text and "held out" in text
        links = re.findall(r"after/[\w-]+/report\.html", text)
        assert links and all((out / link).exists() for link in links)


def test_a_dry_run_says_all_and_writes_nothing(
    words: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="nadir"), pytest.raises(SystemExit):
        main([*words, "--dry-run"])
    assert f"objects: tank {len(PLACES)}, in 1 images" in caplog.text
    assert "none shares ground" in caplog.text and "a dry run: nothing was written" in caplog.text
    assert not (tmp_path / "out").exists()


def test_mistakes_are_sentences_before_anything_is_written(site: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--holdout 0\.9"):
        config_of(site, holdout=0.9)
    with pytest.raises(InputError, match="no task 'detct': known are detect"):
        config_of(site, tasks=("detct",))
    with pytest.raises(InputError, match="--minutes 0"):
        config_of(site, minutes=0)
    with pytest.raises(InputError, match="--window-px 8"):
        config_of(site, window_px=8)
    with pytest.raises(InputError, match="--point-size"):
        config_of(site, point_size=0)
    out = tmp_path / "out"
    with pytest.raises(DataError, match="has no field 'kind'"):
        run_finetune(config_of(site, label_field="kind"), out)
    assert not out.exists()
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty and no run of nadir finetune"):
        run_finetune(config_of(site), out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    finetune.claim(tmp_path / "new", config_of(site))
    with pytest.raises(DataError, match="seed was 0, now 3"):
        finetune.claim(tmp_path / "new", config_of(site, seed=3))
    finetune.claim(tmp_path / "new", config_of(site))


def test_a_runner_that_fails_is_a_sentence(site: Path, tmp_path: Path) -> None:
    cases = tmp_path / "cases"
    cases.mkdir()
    (cases / "labels-count.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match="ended with status 2"):
        ask_model(cases, tmp_path / "out", site / "tiny", blind=False, name="x")


def test_windows_fit_the_objects(site: Path) -> None:
    data = load_own(site / "site.tif", site / "labels.geojson", LabelOptions())
    assert choose_window(data, 32) == 72, "an overview and four tiles"
    assert choose_window(data, 4) == 48, "four sides of an object"
    assert choose_window(data, 128) == 192, "no more than the image"


def test_what_is_learned_is_no_longer_than_what_is_told(site: Path, tmp_path: Path) -> None:
    model, processor = build_tiny()
    assert has_pointer(site / "tiny") and count_slots(processor, model.config, 32) == 1
    slots = count_slots(processor, model.config, 72)
    assert slots == len(processor.plan(72, 72).tiles) == 5
    data = load_own(site / "site.tif", site / "labels.geojson", LabelOptions())
    split = split_own(data, window_px=64, holdout=0.25, seed=0)
    write_windows(split, tmp_path)
    for task in ("detect", "count"):
        write_store(task, split, data.classes, tmp_path, seed=0)
    rows = Rows(tmp_path / "train" / "detect")
    assert (rows.place_counts() > slots).any()
    point, answer = ROUNDS
    feeds = build_own_feeds(tmp_path / "train", ("detect", "count"), answer, slots=slots)
    shares = [weight / sum(weight for _, weight in feeds) for _, weight in feeds]
    assert shares[-2:] == pytest.approx([answer.told, answer.lists])
    for feed, _ in feeds:
        drawn = [feed(random.Random(seed)) for seed in range(30)]
        assert all(len(conversation.turns[0].answer.regions) <= slots for conversation in drawn)
    assert all(draw(random.Random(1)).listed for draw in (feeds[0][0], tell_in_order(feeds[1][0])))
    places = build_own_feeds(tmp_path / "train", ("detect", "count"), point, slots=slots)
    assert len(places) == 1 and not places[0][0](random.Random(0)).listed


def test_rounds_train_what_they_say() -> None:
    point, answer = ROUNDS
    assert sum(turn.share for turn in ROUNDS) == pytest.approx(1)
    assert not point.answers and point.rates.llm == 0 and point.rates.pointer > 0
    assert answer.answers and answer.rates.llm > 0
    assert replace(point, share=0.1).share == 0.1
    assert set(own_rounds.WEIGHTS) == set(finetune.KINDS)
