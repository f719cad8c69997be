"""`python -m data_engine`: seven verbs, each with the options that all share, imported when they are called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from data_engine.__main__ import VERBS, app, main, report_unexpected

ROOT = Path(__file__).resolve().parents[2]
GROUP = typer.main.get_command(app)
SHARED = {"--dry-run", "--seed"}
STAGES = {"--max-rejects", "--workers", "--ray"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_the_shared_options_and_says_what_each_does(verb: str) -> None:
    command = GROUP.get_command(None, verb)
    options = {option for parameter in command.params for option in parameter.opts}
    assert (SHARED if verb == "inspect" else SHARED | STAGES) <= options
    silent = [parameter.opts[0] for parameter in command.params if not getattr(parameter, "help", None)]
    assert not silent, f"{verb}: {silent} have no help"
    assert f"python -m data_engine {verb}" in command.help, "the help shows a command to copy"


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(verb in said for verb in VERBS)


def test_an_unknown_verb_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["convret"])
    assert left.value.code == 2
    assert "convret" in capsys.readouterr().err


def test_a_verb_does_not_import_the_others() -> None:
    code = (
        "import json, sys, typer\nfrom data_engine.__main__ import app\n"
        "typer.main.get_command(app).get_command(None, 'inspect')\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('data_engine.verbs.')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {"data_engine.verbs.inspect", "data_engine.verbs.options"}


def test_an_unexpected_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    report_unexpected(KeyError, KeyError("x\ny"), None)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "unexpected KeyError" in said and "--debug" in said and "what is done is kept" in said
