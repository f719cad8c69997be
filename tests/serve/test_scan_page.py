"""The commands of docs/scanning.md run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest

from tests.serve.live import Live
from tests.serve.made_areas import square, write_area
from tests.serve.test_scan_sources import item, write_stac
from tests.vlm.tiny import build_tiny
from vlm.checkpoint import save_checkpoint
from vlm.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scanning.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SHORT = ["--max-tokens", "8", "--budget", "2"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with an area, tiles and the result of a search."""
    monkeypatch.chdir(tmp_path)
    area = write_area(tmp_path / "area.tif", (300, 200), [square(60, 60, 20)])
    (tmp_path / "tiles" / "north").mkdir(parents=True)
    write_area(tmp_path / "tiles" / "north" / "a.tif", (90, 80), [])
    write_stac(tmp_path / "search.json", [item("a", {"visual": {"href": area.name}, "data": {"href": "b.tif"}})])
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_page_run(here: Path, server: Live, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(*build_tiny(), here / "model")
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    assert len(lines) == 5 and all(line.startswith("nadir scan ") for line in lines)
    for line in lines:
        words = [re.sub(r"http://gpu\d:8000", server.url, word) for word in shlex.split(line)[1:]]
        with pytest.raises(SystemExit) as end:
            main([*words, *SHORT, *([] if "--server" in words else ["--model", str(here / "model")])])
        said = capsys.readouterr()
        assert end.value.code == 0, said.err
        if "--dry-run" in words:
            assert "per km2" in said.err and not (here / "plan.parquet").exists()
            continue
        ledger = json.loads(said.out.splitlines()[-1])
        assert ledger["failed"] == {} and Path(ledger["out"]).exists() and ledger["answered"] > 0
    assert set(gpd.read_file(here / "scenes.gpkg", layer="answers").kind) == {"window"}


@pytest.mark.slow
def test_the_python_of_the_page_runs(here: Path, server: Live) -> None:
    blocks = [text for language, text in BLOCKS if language == "python"]
    assert len(blocks) == 2
    for text in blocks:
        names: dict[str, Any] = {}
        exec(compile(text.replace("http://127.0.0.1:8000", server.url), "scanning.md", "exec"), names)
        if "nadir" in names:
            names["nadir"].close()
    rows = re.findall(r"^\| (`(?:source|label|words|box_px|model)`.*?) \|", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == set(gpd.read_file(here / "job.gpkg").columns) - {"geometry"}
