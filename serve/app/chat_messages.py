"""The body of a chat completion: OpenAI's fields, checked, and turned into one question.

Fields that change nothing here are taken and left; fields that would change the answer and are not served are refused.
"""

from __future__ import annotations

from secrets import randbits
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat

from serve.app.answering import DEFAULT_NEW_TOKENS, Question
from serve.app.options import Options
from serve.app.structure import Structured
from serve.engines.engine import Said, Sampling
from serve.errors import RequestError

_NOT_SERVED = (
    "tools", "functions", "logprobs", "top_logprobs", "logit_bias", "audio", "frequency_penalty", "presence_penalty",
)  # fmt: skip
Stop = Annotated[str, Field(min_length=1, max_length=200)]


class TextPart(BaseModel):
    """Hold words."""

    type: Literal["text"]
    text: str


class ImageUrl(BaseModel):
    """Hold the reference of an image."""

    url: str


class ImagePart(BaseModel):
    """Hold an image: a data URL, raster:ID, or an address of an allowed host."""

    type: Literal["image_url"]
    image_url: ImageUrl


class FileId(BaseModel):
    """Hold the id of a raster."""

    file_id: str


class FilePart(BaseModel):
    """Hold a raster by its id."""

    type: Literal["file"]
    file: FileId


Part = Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]


class ChatMessage(BaseModel):
    """Hold one message: words, or parts."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[str, ...]:
        parts = [] if isinstance(self.content, str) else self.content
        return tuple(
            part.image_url.url if isinstance(part, ImagePart) else part.file.file_id
            for part in parts
            if not isinstance(part, TextPart)
        )


class StreamOptions(BaseModel):
    """Say whether a last chunk counts the tokens."""

    include_usage: bool = False


class ChatOptions(Options):
    """Say how the images are looked at, and what the message of the answer holds."""

    geometry: Literal["text", "geojson"] = Field(
        default="text",
        description="What the answer's message holds: the model's own text, or its regions as a GeoJSON "
        "FeatureCollection whose member `words` says the answer. Both stand under `nadir` either way.",
    )


class ChatRequest(Structured):
    """Hold a chat completion as OpenAI's clients send it."""

    model: str = Field(max_length=200)
    messages: list[ChatMessage] = Field(min_length=1, max_length=200)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: FiniteFloat | None = Field(
        default=None, ge=0, le=2, description="0, the default, takes the likeliest token."
    )
    top_p: FiniteFloat | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = Field(
        default=None, description="The answer ends before the first of these, which it does not hold."
    )
    tools: Any = None
    functions: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    logit_bias: Any = None
    audio: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    nadir: ChatOptions = Field(default=ChatOptions(), description="How the images are looked at (extra_body).")

    def to_question(self) -> Question:
        """Turn the conversation into its last question; RequestError for what is not served."""
        self._require_served()
        *earlier, last = self.messages
        if last.role != "user":
            raise RequestError(f"the last message is the {last.role}'s: expected a question of the user")
        holders = [index for index, message in enumerate(self.messages) if message.images]
        if len(holders) > 1 or any(self.messages[index].role != "user" for index in holders):
            raise RequestError(
                f"images lie in messages {', '.join(str(index + 1) for index in holders)}: expected all of them in one "
                "message of the user, as dates of one place"
            )
        at = holders[0] if holders and holders[0] < len(earlier) else None
        images = self.messages[holders[0]].images if holders else ()
        before = tuple(_said(message) for message in earlier)
        new_tokens = self.max_completion_tokens or self.max_tokens or DEFAULT_NEW_TOKENS
        return Question(last.text, images, self.nadir, before, at, self._sampling(), new_tokens)

    def _require_served(self) -> None:
        named = [name for name in _NOT_SERVED if getattr(self, name)]
        if self.n not in (None, 1):
            named.append("n")
        if named:
            raise RequestError(f"{', '.join(named)} cannot be served: leave it out")

    def _sampling(self) -> Sampling:
        seed = randbits(63) if self.seed is None else self.seed % 2**63
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        guide = self.guide(strict=self.nadir.strict)
        return Sampling(self.temperature or 0.0, 1.0 if self.top_p is None else self.top_p, seed, stop, guide)


def _said(message: ChatMessage) -> Said:
    return Said("system" if message.role == "developer" else message.role, message.text)


EXAMPLE: dict[str, Any] = {
    "requestBody": {
        "content": {
            "application/json": {
                "examples": {
                    "a raster": {
                        "value": {
                            "model": "nadir-nano",
                            "messages": [
                                {
                                    "role": "user",
                                    "content": [
                                        {"type": "file", "file": {"file_id": "0f1e2d3c4b5a69788796"}},
                                        {"type": "text", "text": "Where are the ships?"},
                                    ],
                                }
                            ],
                            "nadir": {"task": "detect", "bands": "true"},
                        }
                    }
                }
            }
        }
    }
}
