"""The prompts: templates filled with facts, and what is read from the answers to them.

Each prompt is a file prompts/NAME.jinja with two blocks, `system` and `user`; a file of one's own is taken by its path.
Answers are JSON; what does not parse is said to be so and never guessed at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from data_engine.annotate.facts import Facts
from vlm.errors import DataError

if TYPE_CHECKING:
    from jinja2 import Template

Makes = Literal["captions", "objects"]
FOLDER: Final = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Describe a prompt: its template, what its answers hold, what facts it needs, the instructions of its samples.

    `needs` names fields of Facts of which at least one must not be empty. `instructions` is a kind of
    templates.write_instruction.
    """

    name: str
    file: Path
    makes: Makes
    needs: tuple[str, ...]
    instructions: str

    def fits(self, facts: Facts) -> bool:
        """Say whether the facts are enough for this prompt."""
        return any(getattr(facts, name) for name in self.needs)


PROMPTS: Final[dict[str, Prompt]] = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            "rs_gpt4v_global", FOLDER / "rs_gpt4v_global.jinja", "captions", ("present", "cover", "notes"), "caption"
        ),
        Prompt("rs_gpt4v_local", FOLDER / "rs_gpt4v_local.jinja", "objects", ("listed",), "region_caption"),
        Prompt("chatearthnet", FOLDER / "chatearthnet.jinja", "captions", ("cover",), "land_describe"),
        Prompt("rsteller", FOLDER / "rsteller.jinja", "captions", ("present", "cover"), "caption"),
    )
}


def find_prompt(name: str) -> Prompt:
    """Find a prompt by name, or take the template file of that path for captions; DataError lists the known ones."""
    if name in PROMPTS:
        return PROMPTS[name]
    path = Path(name)
    if path.suffix == ".jinja" and path.is_file():
        return Prompt(path.stem, path, "captions", ("present", "cover", "notes"), "caption")
    raise DataError(f"no prompt {name!r}: known are {', '.join(PROMPTS)}, or name a .jinja file with your own")


def render_prompt(prompt: Prompt, facts: Facts, *, count: int) -> tuple[str, str]:
    """Fill a prompt with facts; give the system's and the user's text. DataError for a template that breaks."""
    from jinja2 import TemplateError

    try:
        template = _load_template(prompt.file, prompt.file.stat().st_mtime_ns)
        values: Mapping[str, Any] = {"facts": facts, "count": count}
        parts = [_render_block(template, name, values) for name in ("system", "user")]
    except (TemplateError, OSError) as error:
        raise DataError(f"prompt {prompt.file} cannot be filled ({type(error).__name__}: {error})") from error
    except KeyError as error:
        raise DataError(f"prompt {prompt.file} has no block {error}: expected the blocks system and user") from error
    return parts[0], parts[1]


def read_captions(text: str) -> list[str]:
    """Read the captions of an answer; DataError when it is not the JSON that was asked for."""
    captions = _read_json(text).get("captions")
    if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        raise DataError(f'expected {{"captions": ["..."]}}, got {_short(text)}')
    return [caption.strip() for caption in captions if caption.strip()]


def read_objects(text: str) -> dict[int, str]:
    """Read the descriptions of an answer by the number of the object; DataError as in `read_captions`."""
    entries = _read_json(text).get("objects")
    try:
        return {int(entry["number"]): str(entry["text"]).strip() for entry in entries or ()}
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(f'expected {{"objects": [{{"number": 1, "text": "..."}}]}}, got {_short(text)}') from error


def _read_json(text: str) -> dict[str, Any]:
    """Read the JSON object of an answer, which may stand in a fence or between words."""
    start, end = text.find("{"), text.rfind("}")
    try:
        content = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except json.JSONDecodeError as error:
        raise DataError(f"the answer is no whole JSON ({error.msg}): {_short(text)}") from error
    if not isinstance(content, dict):
        raise DataError(f"the answer holds no JSON object: {_short(text)}")
    return content


@lru_cache(maxsize=8)
def _load_template(file: Path, stamp_ns: int) -> Template:
    del stamp_ns
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    places = FileSystemLoader([str(file.parent), str(FOLDER)])
    environment = Environment(
        loader=places, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    return environment.get_template(file.name)


def _render_block(template: Template, name: str, values: Mapping[str, Any]) -> str:
    text = "".join(template.blocks[name](template.new_context(dict(values))))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
