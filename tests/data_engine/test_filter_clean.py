"""The stage and the verb: who leaves a corpus and why, what overlaps, and that a stopped run goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from data_engine.__main__ import main
from data_engine.filter import clean as clean_stage
from data_engine.filter.clean import CleanRules, clean
from data_engine.filter.scores import load_clip, score_captions
from data_engine.stage import StageOptions
from data_engine.store import Ledger, read_samples
from data_engine.store.pixels import load_rgb
from tests.data_engine.made_corpora import encode, make_image, make_picture, run_verb, say, store
from tests.data_engine.made_samples import read_files
from vlm.errors import DataError
from vlm.geometry.shapes import HBB
from vlm.records import Image, Region

OPTIONS = StageOptions()


def shrunk(seed: int) -> Image:
    """Give the picture of a seed at half its size, turned, as JPEG."""
    picture = make_picture(seed).resize((48, 48), Picture.Resampling.BICUBIC).transpose(Picture.Transpose.ROTATE_90)
    return Image(data=encode(picture, "JPEG", quality=60), width=48, height=48)


def kept(out: Path) -> list[str]:
    return [sample.id.removeprefix("made/") for sample in read_samples(out)]


def rejected(out: Path) -> dict[str, str]:
    lines = (json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines())
    return {line["where"].removeprefix("made/"): line["reason"] for line in lines}


def test_each_sample_leaves_for_its_reason(tmp_path: Path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    broken = Image(path=str(tmp_path / "bad.jpg"))
    whole = [Region(HBB(0, 0, 96, 96), "port")]
    samples = [
        say("first", make_image(1)),
        say("other words", make_image(1), "two piers in the sea"),
        say("same words", make_image(1)),
        say("copy", shrunk(1), "another caption of the first picture"),
        say("broken", broken),
        say("held", make_image(2), "a port that is held out"),
        say("empty", make_image(3), " "),
        say("box", make_image(4), "{box:0}", task="detect", regions=whole),
        say("last", make_image(5), "three ships"),
    ]
    corpus, apart = store(tmp_path / "a", samples), store(tmp_path / "test", [say("secret", shrunk(2))])
    ledger, overlaps = clean([corpus], tmp_path / "out", CleanRules(), held_out=[apart], options=OPTIONS)
    assert kept(tmp_path / "out") == ["first", "other words", "last"]
    assert rejected(tmp_path / "out") == {
        "same words": "repeated sample",
        "copy": "copied image",
        "broken": "unreadable image",
        "held": "held out",
        "empty": "empty text",
        "box": "whole-image box",
    }
    assert (ledger.read, ledger.kept, ledger.drops, ledger.faults) == (9, 3, 6, 1)
    assert [(found.store, found.held_out, found.image) for found in overlaps] == [("test", "made/secret", "made/held")]
    assert overlaps[0].move == "turned counterclockwise by 90 degrees"
    assert not (tmp_path / "out.fingerprints").exists()


def test_order_decides_between_copies_across_stores(tmp_path: Path):
    one = store(tmp_path / "one", [say(number, make_image(number)) for number in range(6)], shard=2)
    two = store(tmp_path / "two", [say(f"copy {number}", shrunk(number)) for number in range(3, 9)], shard=4)
    clean([one, two], tmp_path / "out", CleanRules(), options=OPTIONS)
    assert kept(tmp_path / "out") == [*"012345", "copy 6", "copy 7", "copy 8"]
    clean([two, one], tmp_path / "turned", CleanRules(), options=OPTIONS)
    assert kept(tmp_path / "turned") == [*(f"copy {number}" for number in range(3, 9)), *"012"]


def test_equal_files_only_when_similarity_is_above_one(tmp_path: Path):
    corpus = store(tmp_path / "a", [say("a", make_image(1)), say("b", shrunk(1)), say("c", make_image(1))])
    apart = store(tmp_path / "test", [say("t", make_image(9)), say("u", shrunk(1))])
    _, overlaps = clean([corpus], tmp_path / "out", CleanRules(similarity=1.1), held_out=[apart], options=OPTIONS)
    assert rejected(tmp_path / "out") == {"b": "held out", "c": "repeated sample"}
    assert [(found.image, found.move) for found in overlaps] == [("made/b", "the same file")]


def test_two_dates_that_look_alike_are_no_copies(tmp_path: Path):
    before = make_image(1)
    pixels = np.array(make_picture(1))
    pixels[:8, :8] = 255
    after = Image(data=encode(Picture.fromarray(pixels)), width=96, height=96)
    again = Image(data=encode(make_picture(1), "JPEG", quality=85), width=96, height=96)
    samples = [
        say("pair", (before, after), "a hall was built", task="change"),
        say("swapped", (after, before), "a hall was torn down", task="change"),
        say("copied pair", (again, after), "something was built", task="change"),
        say("single", again, "one date alone"),
    ]
    clean([store(tmp_path / "a", samples)], tmp_path / "out", CleanRules(), options=OPTIONS)
    assert kept(tmp_path / "out") == ["pair", "swapped", "single"]
    assert rejected(tmp_path / "out") == {"copied pair": "copied image"}


class Stop(Exception):
    pass


def test_a_stopped_run_goes_on_and_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    samples = [say(number, shrunk(number // 2) if number % 2 else make_image(number // 2)) for number in range(24)]
    corpus = store(tmp_path / "a", samples)
    clean([corpus], tmp_path / "whole", CleanRules(), options=OPTIONS)
    looked: list[str] = []
    real = clean_stage.CleanShard.__call__

    def stop_at_third(self: object, unit: object, ledger: Ledger):
        looked.append(unit.key)
        if len(looked) == 3:
            raise Stop
        yield from real(self, unit, ledger)

    with monkeypatch.context() as patch:
        patch.setattr(clean_stage.CleanShard, "__call__", stop_at_third)
        with pytest.raises(Stop):
            clean([corpus], tmp_path / "out", CleanRules(), options=OPTIONS)
    assert not (tmp_path / "out" / "manifest.json").exists()
    ledger, _ = clean([corpus], tmp_path / "out", CleanRules(), options=OPTIONS)
    assert (ledger.read, ledger.kept) == (24, 12)
    assert read_files(tmp_path / "out") == read_files(tmp_path / "whole")
    again, _ = clean([corpus], tmp_path / "out", CleanRules(), options=OPTIONS)
    assert again.kept == 12


def test_processes_give_the_same_bytes(tmp_path: Path):
    corpus = store(tmp_path / "a", [say(number, make_image(number % 5)) for number in range(12)])
    clean([corpus], tmp_path / "one", CleanRules(), options=OPTIONS)
    clean([corpus], tmp_path / "two", CleanRules(), options=replace(OPTIONS, workers=2))
    assert read_files(tmp_path / "one") == read_files(tmp_path / "two")


def test_the_verb_prints_what_overlaps_and_a_line_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    corpus = store(tmp_path / "a", [say(number, make_image(number)) for number in range(15)])
    apart = store(tmp_path / "rsicd-test", [say(f"secret {number}", shrunk(number)) for number in range(3, 30)])
    words = ["filter", str(corpus), "--against", str(apart), str(tmp_path / "out")]
    run_verb(*words)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{apart}: 12 images of the corpus show 12 of its images; samples of these leave"
    assert lines[1].startswith("  made/3 is made/secret 3, turned counterclockwise by 90 degrees (")
    assert lines[11] == f"  ... and 2 more in {tmp_path / 'out'}/overlaps.jsonl"
    summary = json.loads(lines[-1])
    assert summary["dropped"] == {"held out": 12}
    assert (summary["read"], summary["kept"], summary["held_out"]) == (15, 3, {"rsicd-test": 12})
    run_verb(*words)
    assert capsys.readouterr().out.splitlines()[0] == lines[0]


def test_a_dry_run_touches_nothing(tmp_path: Path):
    corpus = store(tmp_path / "a", [say(1, make_image(1))])
    before = {path.name for path in tmp_path.iterdir()}
    run_verb("filter", str(corpus), str(tmp_path / "out"), "--dry-run")
    assert {path.name for path in tmp_path.iterdir()} == before


def test_mistakes_are_sentences(tmp_path: Path):
    corpus = store(tmp_path / "a", [say(1, make_image(1))])
    with pytest.raises(DataError, match="filter cannot write into its own input"):
        clean([corpus], corpus, CleanRules(), options=OPTIONS)
    with pytest.raises(DataError, match=r"holds no manifest\.json, so it is no finished store"):
        clean([tmp_path / "nowhere"], tmp_path / "out", CleanRules(), options=OPTIONS)
    with pytest.raises(SystemExit) as end:
        main(["filter", str(corpus), str(tmp_path / "out"), "--least-cosine", "0.2"])
    assert end.value.code == 2


def test_too_many_unreadable_images_stop_the_stage(tmp_path: Path):
    (tmp_path / "bad.png").write_bytes(b"")
    samples = [say(number, Image(path=str(tmp_path / "bad.png"))) for number in range(5)]
    corpus = store(tmp_path / "a", samples)
    with pytest.raises(DataError, match="faults are more than --max-rejects 2 allows"):
        clean([corpus], tmp_path / "out", CleanRules(), options=replace(OPTIONS, max_rejects=2))


def test_planted_copies_of_real_images_are_found(shared_data: Path, tmp_path: Path):
    folder = shared_data / "rsicd" / "RSICD_images"
    names = sorted(path.name for path in folder.iterdir())[::200]
    shown = [say(name, Image(path=str(folder / name))) for name in names]
    ways = {
        "jpeg60": lambda picture: encode(picture, "JPEG", quality=60),
        "half": lambda picture: encode(picture.resize((112, 112), Picture.Resampling.BICUBIC)),
        "turned": lambda picture: encode(picture.transpose(Picture.Transpose.ROTATE_90), "JPEG", quality=60),
        "mirrored": lambda picture: encode(picture.transpose(Picture.Transpose.FLIP_TOP_BOTTOM)),
    }
    planted = [
        say(f"{way} {name}", Image(data=copy(Picture.open(folder / name).convert("RGB"))))
        for way, copy in ways.items()
        for name in names[:8]
    ]
    corpus, apart = store(tmp_path / "a", shown, shard=20), store(tmp_path / "t", planted, shard=20)
    _, overlaps = clean([corpus], tmp_path / "out", CleanRules(), held_out=[apart], options=OPTIONS)
    assert {found.held_out for found in overlaps} == {sample.id for sample in planted}
    assert {found.image for found in overlaps} == {f"made/{name}" for name in names[:8]}
    assert set(rejected(tmp_path / "out").values()) == {"held out"}
    assert len(kept(tmp_path / "out")) == len(names) - 8


@pytest.mark.slow
def test_the_encoder_of_a_model_prefers_the_true_captions(shared_data: Path, repository: Path):
    names = ("beach_1", "denseresidential_1", "airport_1")
    folder = shared_data / "rsicd" / "RSICD_images"
    pictures = [load_rgb(Image(path=str(folder / f"{name}.jpg")), enough_px=256) for name in names]
    captions = ["a beach by the sea", "many buildings in a dense residential area", "planes parked in an airport"]
    scorer = load_clip(repository / "vlm" / "nano")
    true = sum(score.cosine for score in score_captions(scorer, pictures, captions))
    false = sum(score.cosine for score in score_captions(scorer, pictures, captions[1:] + captions[:1]))
    assert true > false + 0.5
    assert np.allclose(np.linalg.norm(scorer.embed_texts(captions), axis=1), 1, atol=1e-3)
