"""The files that run the server elsewhere: nothing here runs them, so their parts are held against the repository."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from vlm.cli import app

ROOT = Path(__file__).resolve().parents[2]
OPS = ROOT / "serve" / "ops"
CONTAINER = (OPS / "Containerfile").read_text(encoding="utf-8")
INSTRUCTIONS = {
    "ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL",
    "ENTRYPOINT",
}  # fmt: skip


def steps() -> list[tuple[str, str]]:
    """Give the instructions of the Containerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", CONTAINER, flags=re.MULTILINE))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line.strip()]


def known_options() -> set[str]:
    """Give the options of `nadir serve`."""
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in parameter.opts}


def require_known(words: list[str]) -> None:
    used = {word for word in words if word.startswith("--")}
    assert used and used <= known_options(), used - known_options()


def test_the_containerfile_holds_what_it_copies_and_runs_as_nobody() -> None:
    named = [step for step, _ in steps()]
    assert set(named) <= INSTRUCTIONS and "FROM" in named[: named.count("ARG") + 1]
    stages: dict[str, list[tuple[str, str]]] = {}
    images = dict(rest.split("=", 1) for step, rest in steps() if step == "ARG" and "IMAGE" in rest)
    for step, rest in steps():
        if step == "FROM":
            base, _, name = rest.partition(" AS ")
            assert base.strip("${}") in images or base in stages, base
            stages[name] = list(stages.get(base, []))
        elif stages:
            stages[list(stages)[-1]].append((step, rest))
        if step == "COPY" and not rest.startswith("--from="):
            *sources, _ = rest.split()
            missing = [source for source in sources if not (ROOT / source).exists()]
            assert not missing or not (ROOT / "serve" / "web").is_dir(), missing
    assert all(re.search(r":[\w.-]+$", image) and not image.endswith(":latest") for image in images.values()), images
    assert set(stages) == {"page", "local", "vllm"}
    for name in ("local", "vllm"):
        last = dict(stages[name])
        assert last["USER"] == "nadir", "the server does not run as root"
        command = yaml.safe_load(last["ENTRYPOINT"])
        assert command[:2] == ["nadir", "serve"]
        require_known(command)
    for step, rest in steps():
        if step == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists" in rest
    assert re.search(r"^!vlm/", (OPS / "Containerfile.dockerignore").read_text(), re.MULTILINE)


def test_the_compose_file_asks_for_a_gpu_keys_and_little_else() -> None:
    compose = yaml.safe_load((OPS / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["nadir"]
    build = service["build"]
    assert (OPS / build["context"] / build["dockerfile"]).resolve() == OPS / "Containerfile"
    assert f" AS {build['target']}\n" in CONTAINER
    require_known(service["command"])
    assert service["environment"]["NADIR_KEYS"].startswith("${NADIR_KEYS:?"), "it does not start without keys"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    named = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith(("$", ".", "/"))}
    assert named == set(compose["volumes"])


def test_the_systemd_unit_starts_the_server_hardened(tmp_path: Path) -> None:
    unit = (OPS / "nadir.service").read_text(encoding="utf-8")
    start = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert start is not None and "DynamicUser=yes" in unit and "ProtectSystem=strict" in unit
    require_known(shlex.split(start[1]))
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, which this machine has not")
    here = tmp_path / "nadir.service"
    here.write_text(unit.replace("/opt/nadir/bin/nadir", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", str(here)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "nadir" in line]
    assert done.returncode == 0 and not said, done.stderr


def test_the_slurm_job_is_a_shell_script_whose_directives_come_first() -> None:
    path = OPS / "serve.sbatch"
    subprocess.run(["bash", "-n", str(path)], check=True)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH ")]
    assert directives == list(range(1, len(directives) + 1)), "SLURM reads no directive after the first command"
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+=\S+", lines[number]) for number in directives)
    (start,) = [line for line in lines if "nadir serve" in line and not line.startswith("#")]
    require_known(re.findall(r"--[a-z-]+", start))
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(path)], check=True)
