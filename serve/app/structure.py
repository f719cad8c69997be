"""What an answer's text must be, as clients say it: OpenAI's response_format, and the names that vLLM has and had.

    response_format       {"type": "json_schema", "json_schema": {"schema": {...}}} or {"type": "json_object"}
    structured_outputs    {"regex": ...}, {"json": ...}, {"choice": [...]} or {"json_object": true}
    guided_regex, guided_json, guided_choice

A question has one of them, or Nadir's own `strict`, which holds the answer to the form of its task.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from serve.engines.engine import Guide
from serve.errors import RequestError, TooLargeError
from vlm.codecs.grammar import escape_literal

_MOST_CHARACTERS = 20_000
_ANY_OBJECT = Guide("json", '{"type": "object"}')


class StructuredOutputs(BaseModel):
    """Hold one form, as vLLM names it."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    regex: str | None = None
    schema_: dict[str, Any] | str | None = Field(default=None, alias="json")
    choice: list[str] | None = Field(default=None, min_length=1, max_length=500)
    json_object: bool | None = None


class Structured(BaseModel):
    """Hold the fields of a chat completion that say what its text must be."""

    response_format: dict[str, Any] | None = Field(
        default=None, description="text, json_object, or json_schema with a schema."
    )
    structured_outputs: StructuredOutputs | None = Field(
        default=None, description="One of regex, json (a schema), choice, json_object."
    )
    guided_regex: str | None = None
    guided_json: dict[str, Any] | str | None = None
    guided_choice: list[str] | None = Field(default=None, min_length=1, max_length=500)

    def guide(self, *, strict: bool) -> Guide | None:
        """Give the one form that is asked for; RequestError for two or none of these, TooLargeError for a long one."""
        asked = self.structured_outputs or StructuredOutputs()
        found = [
            *_of_format(self.response_format),
            *_of_fields(asked.regex, asked.schema_, asked.choice),
            *([_ANY_OBJECT] if asked.json_object else []),
            *_of_fields(self.guided_regex, self.guided_json, self.guided_choice),
            *([Guide("task")] if strict else []),
        ]
        if len(found) > 1:
            raise RequestError(f"the answer's form is said {len(found)} times: give one of them")
        if found and len(found[0].text) > _MOST_CHARACTERS:
            raise TooLargeError(
                f"the answer's form has {len(found[0].text):,} characters: at most {_MOST_CHARACTERS:,} are read"
            )
        return found[0] if found else None


def _of_format(given: dict[str, Any] | None) -> list[Guide]:
    """Read OpenAI's response_format."""
    kind = (given or {}).get("type", "text")
    if kind == "text":
        return []
    if kind == "json_object":
        return [_ANY_OBJECT]
    named = (given or {}).get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise RequestError(
            f"response_format of type {str(kind)[:40]!r} cannot be served: expected text, json_object, or json_schema "
            'with {"json_schema": {"schema": {...}}}'
        )
    return [Guide("json", json.dumps(schema))]


def _of_fields(regex: str | None, schema: dict[str, Any] | str | None, choice: list[str] | None) -> list[Guide]:
    """Read the fields that vLLM has."""
    found = [] if regex is None else [Guide("regex", regex)]
    if schema is not None:
        found.append(Guide("json", schema if isinstance(schema, str) else json.dumps(schema)))
    if choice is not None:
        found.append(Guide("regex", f"(?:{'|'.join(map(escape_literal, choice))})"))
    return found
