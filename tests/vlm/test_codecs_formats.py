"""docs/formats.md is what the tables say."""

from __future__ import annotations

from pathlib import Path

from vlm.codecs.formats import formats_page


def test_the_formats_page_is_current(repository: Path) -> None:
    written = (repository / "docs" / "formats.md").read_text()
    assert written == formats_page(), "run: python -m vlm.codecs.formats > docs/formats.md"
