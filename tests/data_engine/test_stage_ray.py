"""On a local Ray with two workers a stage gives the bytes that it gives without, a killed worker included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_engine.formats import Reading
from data_engine.intake import Prepare, plan_intake
from data_engine.stage import StageOptions, map_store, write_stage
from tests.data_engine.made_samples import make_store, read_files
from tests.data_engine.makers import make_rsicd
from tests.data_engine.test_stage import thin
from vlm.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
ON_RAY = """
import sys
from pathlib import Path

import ray

from data_engine.stage import StageOptions, map_store
from tests.data_engine.test_stage import DieOnce, thin
from tests.data_engine.test_stage_ray import convert

folder, options = Path(sys.argv[1]), StageOptions(ray="local", max_rejects=0)
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200 * 2**20, log_to_driver=False)
map_store("thin", [folder / "made"], folder / "plain", thin, options=options)
map_store("thin", [folder / "made"], folder / "killed", DieOnce(folder / "mark"), options=options)
convert(folder / "rsicd", folder / "converted", options)
"""


def convert(root: Path, out: Path, options: StageOptions) -> None:
    plan = plan_intake("rsicd", root, Prepare(embed=True), splits=(), reading=Reading(), size=2, options=options)
    write_stage("convert", plan.units, plan.work, out, options=options, config=plan.config)


@pytest.mark.slow
def test_two_ray_workers_give_the_same_bytes_even_when_one_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray (extra [ray])")
    store = make_store(tmp_path / "made", samples=20, size=5)
    map_store("thin", [store], tmp_path / "straight", thin, options=StageOptions())
    make_rsicd(tmp_path / "rsicd")
    convert(tmp_path / "rsicd", tmp_path / "straight-converted", StageOptions(max_rejects=0))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", ON_RAY, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "mark").exists(), "no worker was killed"
    straight = read_files(tmp_path / "straight")
    assert read_files(tmp_path / "plain") == straight
    assert read_files(tmp_path / "killed") == straight
    assert read_files(tmp_path / "converted") == read_files(tmp_path / "straight-converted")


def test_without_ray_the_user_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "made", samples=2)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DataError, match=r'install the extra with pip install "nadir-vlm\[ray\]"'):
        map_store("thin", [store], tmp_path / "out", thin, options=StageOptions(ray="local"))
    assert not (tmp_path / "out").exists()
