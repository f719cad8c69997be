"""`convert` reads every format into a store and writes the store in every format, with a ledger that adds up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_engine.__main__ import main
from data_engine.formats import FORMATS, Reading
from tests.data_engine.makers import write_image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(3):
        write_image(tmp_path / "images" / f"{number}.png", (400, 200), seed=number)
    turns = [{"from": "human", "value": "<image>\nFind the ships."}, {"from": "gpt", "value": "<p>ship</p> {0}"}]
    texts = ["{<25><25><75><75>|<30>}{<5><5><15><15>|<0>}", "{<10><20><30><40>|<0>}", "no coordinates [1, 2, 3, 4]"]
    records = [
        {
            "image": f"{number}.png",
            "conversations": [turns[0], turns[1] | {"value": turns[1]["value"].replace("{0}", text)}],
        }
        for number, text in enumerate(texts)
    ]
    (tmp_path / "chat.json").write_text(json.dumps([*records, {"image": "gone.png", "conversations": turns}]))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        main(["--quiet", *map(str, words)])
    assert ended.value.code in (0, None)
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_every_format_is_a_way_in_and_a_way_out(root, capsys):
    words = ["convert", "llava", root / "chat.json", root / "store", "--images", root / "images", "--dialect"]
    ledger = run(capsys, *words, "geochat")
    assert (ledger["read"], ledger["kept"], ledger["dropped"]) == (4, 2, {"bad record": 1, "missing image": 1})
    for name, format in FORMATS.items():
        out = root / f"{name}.json" if name in ("llava", "qwen", "refgeo_jsonl", "coco") else root / name
        extra = ["--dialect", format.dialects[1]] if name == "llava" else []
        ledger = run(capsys, "convert", "store", root / "store", out, "--to", name, "--images", root / "images", *extra)
        expected = 1 if name == "refgeo_jsonl" else 2  # it holds one object a record
        assert (ledger["read"], ledger["kept"]) == (2, expected), name
        reading = Reading(images=root / "images", dialect=format.dialects[1] if name == "llava" else None)
        assert len({image.path for sample in format.load(out, reading) for image in sample.images}) == expected, name
