"""The plain records that every room passes around. Coordinates are pixels of the original image (geometry.shapes)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vlm.errors import DataError
from vlm.geometry.shapes import Geometry, Window

if TYPE_CHECKING:
    from vlm.raster import Grid
    from vlm.tiling import Tile

Task = Literal["caption", "classify", "vqa", "count", "ground", "detect", "segment", "region", "change", "chat"]
IssueKind = Literal["unparsed", "clipped", "reordered", "truncated", "unknown_image"]
TASKS: tuple[Task, ...] = (
    "caption", "classify", "vqa", "count", "ground", "detect", "segment", "region", "change", "chat",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Image:
    """Name one image of a sample: a path or its encoded bytes, and what is known about it."""

    path: str | None = None
    data: bytes | None = None
    width: int | None = None
    height: int | None = None
    date: str | None = None
    sensor: str | None = None
    bands: tuple[str, ...] = ()
    gsd_m: float | None = None
    crs: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            raise DataError("an image needs either a path or its bytes, and not both")


@dataclass(frozen=True, slots=True)
class Region:
    """Hold one geometry, the phrase that names it and the index of the image whose pixels it is measured in."""

    geometry: Geometry
    phrase: str = ""
    image: int = 0


@dataclass(frozen=True, slots=True)
class Issue:
    """Say what was odd in a model's text: `kind` for counting, `text` as written, `detail` for the reader."""

    kind: IssueKind
    text: str
    detail: str


@dataclass(frozen=True, slots=True)
class Cost:
    """State what an answer cost: tiles read, visual tokens, prompt and new tokens, ms per stage, peak memory in MB."""

    tiles: int
    visual_tokens: int
    prompt_tokens: int
    new_tokens: int
    stage_ms: dict[str, float]
    peak_rss_mb: float


@dataclass(frozen=True, slots=True)
class TraceStep:
    """Say which tile of which image was read, at which scale, through which rendering, and why."""

    image: int
    tile: Tile
    rendering: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold an answer as a template and regions; text is rendered from it in any dialect (codecs.render_text).

    `template` is plain text with slots: `{box:0}`, `{obb:0,2}`, `{quad:1}`, `{poly:0}`, `{seg:0}`; a leading `ref`
    (`{ref box:0,1}`) writes the regions' phrase before them. Literal braces are doubled. Answers that a model gave
    also keep the raw `text`, the parse `issues`, `cost`, `trace`, the `images` they are about, the `grids` of these,
    which place regions on the map, the `window` that was looked at (None for the whole image) and the `bands` that
    were asked for (None for the usual picture). `file_grids` are the grids of the files themselves: a second date that
    was laid on the first one's grid has another.
    """

    template: str
    regions: tuple[Region, ...] = ()
    text: str = ""
    issues: tuple[Issue, ...] = ()
    cost: Cost | None = None
    trace: tuple[TraceStep, ...] = ()
    grids: tuple[Grid, ...] = ()
    instruction: str = ""
    task: Task | None = None
    images: tuple[Image, ...] = ()
    window: Window | None = None
    bands: str | None = None
    file_grids: tuple[Grid, ...] = ()

    def to_geojson(self, path: str | Path) -> Path:
        """Write the regions as RFC 7946 GeoJSON (WGS84); without georeference, pixels and a member that says so."""
        from vlm.vector import write_answers

        return write_answers((self,), Path(path), format="geojson")

    def _repr_html_(self) -> str:
        """Show text, overlay and cost card in a notebook."""
        from vlm.report import render_answer

        return render_answer(self, [image.path for image in self.images if image.path is not None])


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold one exchange: an instruction (a template too, with its own input regions) and the answer to it."""

    instruction: str
    answer: Answer
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """Hold one training or evaluation sample; the images belong to the first turn."""

    id: str
    images: tuple[Image, ...]
    turns: tuple[Turn, ...]
    task: Task
    source: str
    split: str = "train"
    licence: str = "unknown"

    def __post_init__(self) -> None:
        if not self.turns:
            raise DataError(f"sample {self.id} of {self.source} has no turns")
        if self.task not in TASKS:
            raise DataError(f"sample {self.id} of {self.source} has task {self.task!r}: known are {', '.join(TASKS)}")
