"""The benchmark runner as training starts it: its command line, in a process of its own, of this very checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

LAUNCHER: Final = ("RANK", "WORLD_SIZE", "MASTER_", "LOCAL_", "GROUP_", "ROLE_", "TORCHELASTIC_", "ACCELERATE_")
"""How the names of the variables begin by which a launcher tells a process that it is one of several."""


def start_runner(words: Sequence[str], **streams: Any) -> subprocess.CompletedProcess[str]:
    """Run a verb of `python -m eval_suites` to its end; `streams` say where its words go, as for subprocess.run."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHER)}
    paths = [str(Path(__file__).resolve().parents[1]), *filter(None, [alone.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "eval_suites", *words],
        env={**alone, "PYTHONPATH": os.pathsep.join(paths)},
        text=True,
        check=False,
        **streams,
    )
