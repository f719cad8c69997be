"""The page's sources keep the house's rules: short files, pinned packages, nothing of a machine in the lock file."""

from __future__ import annotations

import json
import re
from pathlib import Path

WEB = Path(__file__).resolve().parents[3] / "serve" / "web"
SOURCES = [
    path
    for pattern in ("src/**/*.ts", "src/**/*.css", "tests/*.ts", "*.html", "*.ts", "*.json")
    for path in WEB.glob(pattern)
    if path.name != "package-lock.json"
]


def test_files_are_at_most_400_lines() -> None:
    long = {path.name: lines for path in SOURCES if (lines := path.read_text(encoding="utf-8").count("\n")) > 400}
    assert SOURCES and not long, long


def test_packages_are_pinned_and_the_lock_names_no_host() -> None:
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    wanted = package["dependencies"] | package["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values()), wanted
    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
    assert all("integrity" in entry for name, entry in lock["packages"].items() if name)


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs_on_install() -> None:
    foreign = [
        f"{path.name}: {address}"
        for path in SOURCES
        if path.suffix in (".html", ".css", ".ts") and path.name != "vite.config.ts"
        for address in re.findall(r"https?://[^\s'\"<>)]+", path.read_text(encoding="utf-8"))
    ]
    assert not foreign, foreign
    assert "ignore-scripts=true" in (WEB / ".npmrc").read_text(encoding="utf-8")
    unsafe = [path.name for path in SOURCES if re.search(r"innerHTML|insertAdjacentHTML|eval\(", path.read_text())]
    assert not unsafe, f"text becomes markup: {unsafe}"


def test_every_description_begins_with_what_the_file_is() -> None:
    silent = [path.name for path in (WEB / "src").rglob("*.ts") if not path.read_text().startswith(("/**", "declare"))]
    assert not silent, silent
