"""WordNet 3.0 as far as the rules need it: which words share a sense, with WordNet's own morphology (morphy).

The file beside this module holds every sense's words and the exceptions of inflection, packed by `pack_wordnet` from
the database files of WordNet 3.0 (index.*, data.*, *.exc; Debian: wordnet-base) without glosses and pointers, so that
nothing is downloaded when a score is computed. LRS-VQA's rule (path similarity > 0.8) asks for no more: the path
similarity of two senses is 1 / (1 + steps), so above 0.8 stands only the same sense. NLTK's METEOR takes `WordNet` in
the place of its own reader. Licence of the data: WORDNET_LICENSE.txt.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

PACKED: Final = Path(__file__).with_name("wordnet.txt.xz")
PARTS: Final = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
# Endings that morphy takes off and puts on (WordNet's morphy(7WN)).
ENDINGS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "n": (("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
          ("men", "man"), ("ies", "y")),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}  # fmt: skip
MARKER = re.compile(r"\((a|p|ip)\)$")


class Lemma:
    """Hold a word of a sense, in the shape that NLTK's METEOR asks for."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        """Give the word; blanks are underscores."""
        return self._name


class Synset:
    """Hold a sense: its words, in the shape that NLTK's METEOR asks for."""

    __slots__ = ("_lemmas",)

    def __init__(self, words: list[str]) -> None:
        self._lemmas = tuple(Lemma(word) for word in words)

    def lemmas(self) -> tuple[Lemma, ...]:
        """Give the words of the sense."""
        return self._lemmas


class WordNet:
    """Hold senses by word and part of speech, and the exceptions of inflection."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._senses: dict[str, dict[str, list[int]]] = {part: {} for part in PARTS}
        self._exceptions: dict[str, dict[str, list[str]]] = {part: {} for part in PARTS}
        for number, line in enumerate(lines):
            kind, *words = line.lower().split()
            if kind in PARTS:
                senses = self._senses[kind]
                for word in words:
                    senses.setdefault(word, []).append(number)
            else:
                self._exceptions[kind[1]][words[0]] = words[1:]
        self.senses_of = lru_cache(maxsize=100_000)(self._find)

    def synsets(self, word: str) -> tuple[Synset, ...]:
        """Give the senses of a word with their words, as NLTK's METEOR asks for them."""
        return tuple(self._synset(number) for number in sorted(self.senses_of(word)))

    def share_sense(self, first: str, second: str) -> bool:
        """Say whether two words have a sense in common; a word that WordNet does not know shares none."""
        return not self.senses_of(first).isdisjoint(self.senses_of(second))

    def _find(self, word: str) -> frozenset[int]:
        """Give the numbers of the senses of a word and of what it is an inflection of, over all parts of speech."""
        word = word.lower()
        return frozenset(
            number
            for part, senses in self._senses.items()
            for form in (word, *self._bases(word, part))
            for number in senses.get(form, ())
        )

    def _bases(self, word: str, part: str) -> list[str]:
        exceptions = self._exceptions[part].get(word)
        return exceptions or [word[: -len(old)] + new for old, new in ENDINGS[part] if word.endswith(old)]

    @lru_cache(maxsize=100_000)  # noqa: B019
    def _synset(self, number: int) -> Synset:
        return Synset(self._lines[number].split()[1:])


@cache
def load_wordnet() -> WordNet:
    """Read the packed WordNet once (about a second)."""
    with lzma.open(PACKED, "rt", encoding="utf-8") as file:
        return WordNet(file.readlines())


def pack_wordnet(folder: Path) -> bytes:
    """Give the packed form of a folder with WordNet's database files: a line per sense and per exception."""
    return lzma.compress("".join(f"{line}\n" for line in _lines(folder)).encode(), preset=9 | lzma.PRESET_EXTREME)


def _lines(folder: Path) -> Iterator[str]:
    for part, name in PARTS.items():
        for line in (folder / f"data.{name}").read_text(encoding="utf-8").splitlines():
            if not line.startswith(" "):
                fields = line.split()
                words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
                yield " ".join((part, *(MARKER.sub("", word) for word in words)))
    for part, name in PARTS.items():
        for line in (folder / f"{name}.exc").read_text(encoding="utf-8").splitlines():
            yield f"-{part} {line}"
