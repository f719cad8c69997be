"""The contrastive stage: every option counts, a killed run goes on bit by bit, and the command line trains towers."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch.nn import functional

from tests.data_engine.made_corpora import store
from tests.train.made_captions import COLOURS, make_captioned, write_captioned
from tests.train.test_resume import kill_at, losses
from tests.vlm.tiny import build_tiny
from train.captions import Album, Steps
from train.clip import ClipConfig, build_losses, train_clip
from train.clip_start import run
from train.regions import Teacher
from train.towers import FILE, Towers, towers_of_model
from vlm.checkpoint import load_checkpoint, save_checkpoint

CONFIG = ClipConfig(
    batch=4, steps=8, learning_rate=1e-3, warmup_steps=1, save_steps=2, save_minutes=1e9, log_steps=1, workers=0
)
LIMIT_S = 300
ALL = replace(CONFIG, region_weight=1.0, distill_weight=1.0, rotation_weight=0.5, box_captions=True)


def make(config: ClipConfig, count: int = 6) -> tuple[Towers, Steps]:
    """Give the tiny model's towers and data for it."""
    towers = towers_of_model(*build_tiny())
    cut = config.region_from == "cut"
    album = Album(make_captioned(count), config.wanted())
    return towers, Steps([(album, 1.0)], towers.frame, config.batch, config.seed, cut_regions=cut)


def train(out: Path, config: ClipConfig) -> list[float]:
    train_clip(*make(config), config, out)
    return losses(out)


def parts(config: ClipConfig) -> dict[str, float]:
    towers, data = make(config)
    found = build_losses(towers, config)(data[0], random.Random(0))
    return {name: float(value.detach()) for name, value in found.items()}


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("region", {"region_weight": 2.0}),
    ("region", {"region_weight": 2.0, "region_from": "patches"}),
    ("distill", {"distill_weight": 2.0}),
    ("distill", {"distill_weight": 2.0, "distill_cells": 4}),
    ("turned", {"rotation_weight": 2.0}),
]


@pytest.mark.parametrize(("name", "settings"), OPTIONS)
def test_an_option_adds_its_loss_by_its_weight(name: str, settings: dict[str, Any]) -> None:
    plain = parts(CONFIG)
    assert set(plain) == {"contrast"}
    full = parts(replace(CONFIG, **settings))
    half = parts(replace(CONFIG, **{key: value / 2 if value == 2.0 else value for key, value in settings.items()}))
    assert set(full) == {"contrast", name}
    assert full[name] > 1e-4 and full[name] == pytest.approx(2 * half[name], rel=1e-5)


@pytest.mark.parametrize("region_from", ["cut", "patches"])
def test_regions_learn_their_category(region_from: Any, tmp_path: Path) -> None:
    config = replace(
        CONFIG, steps=40, batch=6, learning_rate=4e-3, region_weight=4.0, region_from=region_from, region_prompt="{}",
        save_steps=None,
    )  # fmt: skip
    towers, data = make(config)
    train_clip(towers, data, config, tmp_path)
    found = build_losses(towers, replace(config, region_weight=1.0)).eval()
    with torch.no_grad():
        fresh = build_losses(make(config)[0], replace(config, region_weight=1.0)).eval()
        after, before = (float(one(data[200], random.Random(0))["region"]) for one in (found, fresh))
    assert after < 0.6 * before
    if region_from == "cut":
        assert_right_category(towers, data)


def assert_right_category(towers: Towers, data: Steps) -> None:
    names = [f"{name} box" for name in COLOURS]
    clip: Any = towers.encoder.clip
    batch = data[300]
    losses_of = build_losses(towers, CONFIG)
    with torch.no_grad():
        texts = functional.normalize(clip.encode_text(towers.tokenise(names)), dim=-1)
        shown = functional.normalize(
            clip.encode_image(losses_of._pixels(batch.regions.tiles, torch.device("cpu"))), dim=-1
        )
    told = [names[at] for at in (shown @ texts.T).argmax(1).tolist()]
    right = sum(one == name for one, name in zip(told, batch.names, strict=True))
    assert right >= 0.8 * len(batch.names)


def test_distillation_holds_patches_near_the_teachers(tmp_path: Path) -> None:
    base = replace(CONFIG, steps=24, learning_rate=2e-3, save_steps=None)
    held = replace(base, distill_weight=10.0, teacher_decay=1.0)
    start = Teacher(make(base)[0].encoder, decay=1.0)
    away = []
    for name, config in {"free": base, "held": held}.items():
        towers, data = make(config)
        train_clip(towers, data, config, tmp_path / name)
        losses_of = build_losses(towers, replace(held, distill_weight=1.0))
        losses_of.teacher = start
        with torch.no_grad():
            away.append(float(losses_of(make(held)[1][100], random.Random(0))["distill"]))
    assert away[1] < 0.7 * away[0]


def test_a_killed_run_goes_on_bit_by_bit(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = train(whole, ALL)
    killed = multiprocessing.get_context("fork").Process(target=train, args=(cut, replace(ALL, log_s=1e9)))
    killed.start()
    kill_at(cut, 5, killed)
    assert train(cut, ALL) == expected
    models = [load_checkpoint(out / "model")[0].state_dict() for out in (whole, cut)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert len(list((cut / "checkpoints").glob("step-*/teacher.pt"))) == CONFIG.keep


def join(rank: int, port: int, out: Path, config: ClipConfig) -> None:
    """Train as one of two processes, as every launcher names them."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    train_clip(*make(config), config, out)


@pytest.mark.slow
def test_two_processes_train_as_one_and_one_goes_on_from_them(tmp_path: Path) -> None:
    import deepspeed  # noqa: F401  # once, for those that are forked

    config = replace(ALL, steps=6, save_steps=3, rotation_weight=0.0, zero=2)
    one, two = tmp_path / "one", tmp_path / "two"
    expected = train(one, config)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=join, args=(rank, port, two, config)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_S)
    assert [process.exitcode for process in processes] == [0, 0]
    assert losses(two) == pytest.approx(expected, abs=1e-4)
    shutil.rmtree(two / "checkpoints" / "step-00000006")
    assert train(two, config) == pytest.approx(expected, abs=1e-4)


def test_only_what_has_a_rate_moves(tmp_path: Path) -> None:
    towers, data = make(CONFIG)
    before = {name: one.clone() for name, one in towers.encoder.clip.state_dict().items()}
    train_clip(towers, data, replace(CONFIG, steps=2, text_rate=0.0, save_steps=None), tmp_path)
    moved = {name for name, one in towers.encoder.clip.state_dict().items() if not torch.equal(one, before[name])}
    assert moved and all(name.startswith("visual.") for name in moved)


@pytest.fixture
def small(tmp_path: Path) -> str:
    """Make an open_clip architecture of a few thousand weights, and name it."""
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    path = tmp_path / "nadir-tiny-test.json"
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    return path.stem


def test_the_command_line_goes_on_from_and_to_open_clips_weights(small: str, tmp_path: Path) -> None:
    data, first, second = write_captioned(tmp_path / "data", 4), tmp_path / "first", tmp_path / "second"
    settings = ["batch=2", "steps=2", "workers=0", "bf16=false", "languages=en:0.5,pt:0.5", "region_weight=1"]
    run("", ["--vision", small, "--data", str(data), "--out", str(first), *settings])
    weights = first / "model" / FILE
    run(
        "",
        ["--vision", small, "--vision-checkpoint", str(weights), "--data", str(data), "--out", str(second), *settings],
    )
    again = open_clip.create_model(small, pretrained=str(weights))
    held = torch.load(weights, weights_only=True)
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in held.items())
    assert (second / "run.md").exists() and (second / "loss.png").exists()


def test_a_plan_touches_nothing(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    save_checkpoint(*build_tiny(), tmp_path / "tiny")
    caplog.set_level(logging.INFO, "nadir.train")
    words = ["--data", "nowhere", "--out", str(tmp_path / "out"), "--dry-run", "batch=8", "distill_weight=1"]
    run("", ["--start", str(tmp_path / "tiny"), *words])
    assert any("8 pairs x 1 processes = 8" in line for line in caplog.messages)
    assert any(line == "losses: contrast, patches x 1" for line in caplog.messages)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--vision", "ViT-L-15"], "open_clip has no architecture 'ViT-L-15': close names are"),
        (["--vision", "xlm-roberta-base-ViT-B-32"], "reads texts by a tower or tokenizer of transformers"),
        (["languages=Deutsch"], "languages has 'Deutsch'"),
        (["region_wait=1"], "no setting 'region_wait': did you mean region_weight"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        run("", ["--data", "nowhere", "--out", "nowhere", "--dry-run", *words])


def test_data_without_what_a_loss_needs_are_a_sentence(tmp_path: Path) -> None:
    captions = [sample for sample in make_captioned(2) if sample.task == "caption"]
    data = store(tmp_path / "data", captions)
    with pytest.raises(
        SystemExit, match=r"region-category alignment learns from samples of detect, and .* holds caption 4"
    ):
        run("", ["--data", str(data), "--out", str(tmp_path / "out"), "region_weight=1"])
    with pytest.raises(SystemExit, match="the recipe smoke names no store of captions: choose another, such as clip"):
        run("", ["--recipe", "smoke", "--data", str(data), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
