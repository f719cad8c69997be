"""SPICE 1.0 as pycocoevalcap runs it: its jar parses captions and references into scene graphs, and F is averaged.

The jar (java -jar spice-1.0.jar IN -out OUT -subset -silent) wants Stanford CoreNLP 3.6.0, which is no part of
pycocoevalcap: its own class downloads it while it is scored, here a sentence says how to get it. The jar's cache of
parsed references is left out, for it does not run on newer Java. Anderson et al., SPICE, ECCV 2016.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from vlm.errors import InputError

JARS: Final = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
ZIP: Final = "http://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"


def score_spice(found: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Give the SPICE of each tokenised caption, 0..1; InputError where Java or CoreNLP is missing, or the jar fails."""
    folder = find_jar_folder()
    asked = [
        {"image_id": number, "test": text, "refs": list(others)}
        for number, (text, others) in enumerate(zip(found, references, strict=True))
    ]
    with TemporaryDirectory(prefix="nadir-") as place:
        given, told = Path(place) / "captions.json", Path(place) / "scores.json"
        given.write_text(json.dumps(asked), encoding="utf-8")
        command = ["java", "-Xmx8G", "-jar", "spice-1.0.jar", str(given), "-out", str(told), "-subset", "-silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or not told.exists():
            reason = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
            raise InputError(f"SPICE's jar gave up: {reason[0]}; see that `java -version` works and 8 GB are free")
        rows = {int(row["image_id"]): row for row in json.loads(told.read_text(encoding="utf-8"))}
    return [_read_f(rows.get(number)) for number in range(len(asked))]


def find_jar_folder() -> Path:
    """Give the folder of SPICE's jar; InputError says what is missing, and how to get it."""
    import pycocoevalcap

    if shutil.which("java") is None:
        raise InputError(
            "SPICE needs Java, and there is no `java` on the PATH: install a Java runtime (Debian: apt-get install "
            "default-jre-headless), or take a protocol without SPICE"
        )
    folder = Path(next(iter(pycocoevalcap.__path__))) / "spice"
    missing = [name for name in JARS if not (folder / "lib" / name).exists()]
    if missing:
        raise InputError(
            f"SPICE needs Stanford CoreNLP 3.6.0, and {folder / 'lib'} lacks {' and '.join(missing)}: download {ZIP} "
            "(390 MB), put these jars of it there, or take the protocol coco, which is the same without SPICE"
        )
    return folder


def _read_f(row: Any) -> float:
    """Read F of all tuples; 0 where a caption has none (NaN), or the jar says nothing of it."""
    value = float("nan") if row is None else float(row["scores"]["All"]["f"])
    return value if math.isfinite(value) else 0.0
