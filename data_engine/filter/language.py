"""Which language words are in, as far as a caption filter needs it: by script, and by the commonest short words.

A text is of another language than the wanted one when most of its letters are of another script, or when it has at
least MARKS words that only another language has and more of them than of the wanted one. Short texts without such
words ("airport", "storage tanks") belong to every language of their script. Place names with accents do no harm.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Final

from vlm.errors import DataError

MARKS: Final = 2
"""Words of another language that give it away."""

_SCRIPTS: Final[dict[str, tuple[str, ...]]] = {
    "zh": ("CJK",), "ja": ("HIRAGANA", "KATAKANA", "CJK"), "ko": ("HANGUL",), "ar": ("ARABIC",), "hi": ("DEVANAGARI",),
    "ru": ("CYRILLIC",), "el": ("GREEK",), "th": ("THAI",), "he": ("HEBREW",),
}  # fmt: skip
_LATIN: Final = ("LATIN",)
_COMMON: Final[dict[str, str]] = {
    "en": "the a an of and is are in on with there this that at by to near it its from some many which has have next "
    "between beside around several two for as be was were out both one can close lots",
    "fr": "le la les une des du de et est sont dans avec il ce cette au aux par sur pour qui plusieurs deux entre "
    "image nous pas près vue",
    "de": "der die das ein eine und ist sind im mit auf den dem des von zu es bild einer einem nicht sich zwei viele "
    "zwischen neben wir zeigt",
    "es": "el la los las un una de y es son en con hay del al por se que imagen para dos entre muchos esta este varias",
    "it": "il lo la i gli le un una di e è sono nel con che del della al per si immagine due tra molti questo nella",
    "pt": "o os as um uma de e é são no na com há do da ao por que imagem para dois duas entre muitos esta não em",
    "nl": "de het een van en is zijn in op met er dat deze bij naar twee tussen veel afbeelding niet aan wordt",
    "pl": "i w na z jest są się do po nie to oraz obraz dwa przez który wiele między obok",
    "tr": "bir ve bu ile için olan var iki çok görüntü yanında arasında da de",
    "id": "dan di yang ini dengan dari ada dua untuk pada gambar banyak antara sebuah beberapa",
    "vi": "và của một các có là trong với hai này được cho nhiều những hình ảnh",
}
_WORDS: Final = {language: frozenset(words.split()) for language, words in _COMMON.items()}
LANGUAGES: Final = (*_COMMON, *_SCRIPTS)
"""The languages that can be wanted."""


def find_other_language(text: str, *, wanted: str) -> str | None:
    """Name what a text is written in when it is not the wanted language (a key of LANGUAGES), else None.

    The name is a language, or a script where another one is used ("CJK"). Raises DataError for an unknown language.
    """
    if wanted not in LANGUAGES:
        raise DataError(f"language {wanted!r} is unknown: known are {', '.join(LANGUAGES)}")
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    if not scripts:
        return None
    expected = _SCRIPTS.get(wanted, _LATIN)
    foreign = Counter({name: count for name, count in scripts.items() if name not in expected})
    if foreign.total() * 2 > scripts.total():
        return foreign.most_common(1)[0][0]
    return None if wanted in _SCRIPTS else _other_words(text, wanted)


def _other_words(text: str, wanted: str) -> str | None:
    words = re.findall(r"[^\W\d_]+", text.lower())
    own = sum(word in _WORDS[wanted] for word in words)
    marks = {
        language: sum(word in common - _WORDS[wanted] for word in words)
        for language, common in _WORDS.items()
        if language != wanted
    }
    best = max(marks, key=lambda language: marks[language])
    return best if marks[best] >= MARKS and marks[best] > own else None


def _script(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]
