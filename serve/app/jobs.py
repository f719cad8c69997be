"""/v1/jobs: an instruction about every window of a large raster; ask how far it is, fetch the features, or stop it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from serve.app.answering import DEFAULT_NEW_TOKENS
from serve.app.job_runner import result_of
from serve.app.services import Owner, Served, Services
from serve.errors import BusyError, RequestError, TooLargeError
from serve.scan.options import ScanOptions, require_askable
from serve.scan.plan import count_windows
from serve.store.inspect import sound
from serve.store.jobs import Job
from serve.store.rasters import StoredRaster
from vlm.dialects import get_dialect
from vlm.raster import Raster
from vlm.records import Task

router = APIRouter(tags=["Jobs"])
FileFormat = Literal["geojson", "gpkg", "parquet"]
_MEDIA = {
    "geojson": "application/geo+json",
    "gpkg": "application/geopackage+sqlite3",
    "parquet": "application/vnd.apache.parquet",
}
_ID = "0f1e2d3c4b5a69788796"
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The features, as a file with its name."}
}


class JobBody(BaseModel):
    """Ask an instruction of every window of a raster."""

    model_config = ConfigDict(extra="forbid")

    raster: str = Field(description="The id of a raster.", examples=[_ID], max_length=60)
    instruction: str = Field(min_length=1, examples=["Where are the ships?"])
    task: Task | None = Field(default=None, description="The kind of answer that is wanted.")
    format: FileFormat = Field(default="geojson", description="How the features are written.")
    window: int = Field(default=512, ge=16, le=4096, description="A window's side in pixels as the model sees it.")
    overlap: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        default=0.2, description="What neighbouring windows share: a share of the side below 1, pixels from 1 on."
    )
    gsd: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        default=None, description="Metres a pixel at which to look; the raster's own by default."
    )
    bands: str | None = Field(default=None, max_length=200, examples=["true", "ndvi", "4,3,2"])
    budget: int | None = Field(default=None, ge=1, description="The most tiles that may be read of a window.")
    dialect: str | None = Field(default=None, max_length=40)
    max_tokens: int = Field(default=DEFAULT_NEW_TOKENS, ge=1, description="The longest answer of a window.")

    def to_options(self) -> ScanOptions:
        """Give the options of the scan; raises WindowError and InstructionError as ScanOptions does."""
        if self.dialect is not None:
            get_dialect(self.dialect)
        return ScanOptions(
            self.task, self.window, self.overlap, self.gsd, self.bands, self.budget, self.dialect, self.max_tokens
        )


class JobStatus(BaseModel):
    """Hold how far a job is: waiting, running, done or failed; windows done and in all, their rate, seconds left."""

    model_config = ConfigDict(extra="allow")

    id: str
    state: Literal["waiting", "running", "done", "failed"]
    progress: dict[str, Any]
    error: str
    ledger: dict[str, Any]


@router.post("/v1/jobs", status_code=202, response_model=JobStatus)
async def start_job(body: JobBody, services: Served, owner: Owner) -> dict[str, Any]:
    """Start asking an instruction of every window of a raster; the job goes on when the client goes away."""
    raster = services.store.get(body.raster.removeprefix("raster:"), owner)
    options = body.to_options()
    _require_small(body, options, raster, services)
    await asyncio.to_thread(_require_bands, services.store.path_of(raster), raster.name, body.bands)
    asked = {**body.model_dump(), "raster": raster.id, "options": options.to_dict()}
    services.store.require_room(owner, 0)
    job = services.jobs.add(owner, asked)
    services.runner.submit(job)
    return describe(job)


@router.get("/v1/jobs")
async def list_jobs(services: Served, owner: Owner) -> dict[str, Any]:
    """List the jobs of this key, the newest first."""
    return {"object": "list", "data": [describe(job) for job in services.jobs.list_of(owner)]}


@router.get("/v1/jobs/{job}", response_model=JobStatus)
async def get_job(job: str, services: Served, owner: Owner) -> dict[str, Any]:
    """Say how far a job is."""
    return describe(services.jobs.get(job, owner))


@router.get("/v1/jobs/{job}/result", response_class=FileResponse, responses=_FILE)
async def get_result(job: str, services: Served, owner: Owner) -> FileResponse:
    """Fetch the features of a job that is done, in the format that was asked for."""
    found = services.jobs.get(job, owner)
    if found.state == "failed":
        raise RequestError(f"job {job} has failed: {found.error}")
    if found.state != "done":
        raise BusyError(f"job {job} is {found.state}: ask for its result when it is done")
    file = result_of(found, services.jobs)
    return FileResponse(file, media_type=_MEDIA[found.asked["format"]], filename=file.name)


@router.delete("/v1/jobs/{job}", status_code=204)
async def delete_job(job: str, services: Served, owner: Owner) -> Response:
    """Stop a job, and delete what it has found."""
    found = services.jobs.get(job, owner)
    await services.runner.cancel(found)
    services.jobs.delete(job, owner)
    return Response(status_code=204)


def describe(job: Job) -> dict[str, Any]:
    """Give a job as JSON values, without its owner."""
    asked = {name: value for name, value in job.asked.items() if name != "options"}
    times = {name: datetime.fromtimestamp(getattr(job, name), UTC).isoformat() for name in ("created", "expires")}
    return {
        "object": "job", "id": job.id, "state": job.state, "progress": job.progress, "error": job.error,
        "ledger": job.ledger, "asked": asked, **times,
    }  # fmt: skip


def _require_bands(path: Path, name: str, bands: str | None) -> None:
    """Raise RasterError for bands that a raster has not, and for a damaged one."""
    with sound(name), Raster.open(path) as raster:
        raster.renderings(bands, limit=1)


def _require_small(body: JobBody, options: ScanOptions, raster: StoredRaster, services: Services) -> None:
    """Raise TooLargeError for what a limit forbids, InstructionError for what cannot be asked of windows."""
    require_askable(body.instruction, options)
    limits, words = services.limits, len(body.instruction)
    if words > limits.words:
        raise TooLargeError(f"the instruction has {words:,} characters: at most {limits.words:,} are read")
    if body.budget is not None and body.budget > limits.tiles:
        raise TooLargeError(f"the budget is {body.budget} tiles: this server reads at most {limits.tiles} a window")
    if body.max_tokens > limits.new_tokens:
        raise TooLargeError(f"{body.max_tokens} new tokens are asked for: at most {limits.new_tokens} are given")
    if body.gsd is not None and raster.gsd_m is None:
        raise RequestError("gsd is given and the raster has no georeference: leave gsd out")
    scale = 1.0 if body.gsd is None or raster.gsd_m is None else max(1.0, body.gsd / raster.gsd_m)
    side, overlap = round(options.window_px * scale), round(options.overlap_px * scale)
    windows = count_windows(raster.width, side, overlap) * count_windows(raster.height, side, overlap)
    if windows > limits.job_windows:
        raise TooLargeError(
            f"the job has {windows:,} windows: at most {limits.job_windows:,} are taken; ask for larger windows, less "
            "overlap or a coarser gsd"
        )
