"""On a local Ray with two workers filter, mix and annotate give the bytes that they give without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_engine.annotate.annotate import AnnotateOptions, annotate_store
from data_engine.filter.clean import CleanRules, clean
from data_engine.mix.corpus import write_mix
from data_engine.mix.recipe import Mix, Part
from data_engine.stage import StageOptions
from tests.data_engine.made_corpora import make_image, say, store
from tests.data_engine.made_samples import read_files
from tests.data_engine.model_server import serve
from tests.data_engine.test_annotate import describe, make_store

ON_RAY = """
import sys
from pathlib import Path

import ray

from tests.data_engine.test_filter_ray import run_all
from data_engine.stage import StageOptions

ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200 * 2**20, log_to_driver=False)
run_all(Path(sys.argv[1]), Path(sys.argv[1]) / "ray", sys.argv[2], StageOptions(ray="local"))
"""


def run_all(folder: Path, out: Path, url: str, options: StageOptions) -> None:
    clean([folder / "a"], out / "clean", CleanRules(), held_out=[folder / "test"], options=options)
    write_mix(Mix((Part(str(folder / "a")), Part(str(folder / "b"), 0.5)), epochs=1.5), out / "mix", options=options)
    asked = AnnotateOptions(url, "m", tries=1, concurrency=2, cache=out / "answers.sqlite")
    annotate_store(folder / "b", out / "captions", asked, options=options)


@pytest.mark.slow
def test_two_ray_workers_give_the_same_bytes(tmp_path: Path, repository: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray (extra [ray])")
    store(tmp_path / "a", [say(number, make_image(number % 9)) for number in range(14)])
    store(tmp_path / "test", [say("held", make_image(3))])
    make_store(tmp_path / "b")
    with serve(describe) as server:
        run_all(tmp_path, tmp_path / "plain", server.url, StageOptions())
        environment = os.environ | {"PYTHONPATH": str(repository), "RAY_USAGE_STATS_ENABLED": "0"}
        command = [sys.executable, "-c", ON_RAY, str(tmp_path), server.url]
        done = subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("clean", "mix", "captions"):
        assert read_files(tmp_path / "ray" / name) == read_files(tmp_path / "plain" / name)
