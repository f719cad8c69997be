"""The command line of the room: `python -m data_engine VERB`. A verb is imported when it is called.

convert rsicd ~/RSICD out/rsicd            an official layout -> samples
generate out/dota out/dota-instruct        geometry -> instructions
synth out/synth                            procedural scenes with exact labels
annotate out/x out/x-captions              an LLM's words, checked against the annotations
filter out/a out/b out/clean               duplicates, leakage, bad text and geometry leave
mix recipe.py out/mix                      weights -> one shuffled corpus
inspect out/mix                            a page of random samples with their geometry drawn
corpus nano ~/datasets out/data            all that the built-in model is trained on

Each verb shows its progress, may be stopped, goes on where it was, and ends with a ledger that adds up.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from vlm.errors import NadirError

VERBS: Final[dict[str, str]] = {
    "convert": "convert", "generate": "generate", "synth": "synth", "annotate": "annotate", "filter": "filter_",
    "mix": "mix", "inspect": "inspect_", "corpus": "corpus",
}  # fmt: skip
"""Each verb and the name of its function in data_engine/verbs/VERB.py."""


class VerbGroup(TyperGroup):
    """List the verbs and import the one that is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Give the verbs in the order of the pipeline."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Build the command of a verb from its function; None for an unknown verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        module = import_module(f"data_engine.verbs.{cmd_name}")
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(getattr(module, VERBS[cmd_name]))
        return typer.main.get_command(single)


app = typer.Typer(
    cls=VerbGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def data_engine(
    quiet: Annotated[bool, typer.Option("--quiet", help="Show warnings and the last line only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Turn public datasets, masks and maps into instruction samples."""
    if debug:
        sys.excepthook = sys.__excepthook__
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("nadir.data").setLevel(logging.WARNING if quiet else logging.INFO)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; a mistake of the user is one sentence and exit status 2, Ctrl-C is exit status 130."""
    sys.excepthook = report_unexpected
    try:
        typer.main.get_command(app)(arguments, prog_name="python -m data_engine", standalone_mode=True)
    except NadirError as error:
        typer.secho(f"data_engine: {error}", fg="red", err=True)
        raise SystemExit(2) from error


def report_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an unexpected error as one sentence; Python then exits with status 1, and the same command goes on."""
    del trace
    message = " ".join(str(error).split()) or "no message"
    asked = "run `python -m data_engine --debug VERB ...` to see where; what is done is kept"
    typer.secho(
        f"data_engine: unexpected {kind.__name__}: {message}; this is a fault of Nadir: {asked}", fg="red", err=True
    )


if __name__ == "__main__":
    main()
