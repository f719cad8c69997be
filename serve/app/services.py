"""What every route reaches: the engine, the rasters, the settings and the counters of its app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from serve.app.job_runner import JobRunner
from serve.app.metrics import Metrics
from serve.engines.engine import Engine
from serve.settings import Limits, Settings
from serve.store.jobs import JobStore
from serve.store.rasters import RasterStore


@dataclass(frozen=True, slots=True)
class Services:
    """Hold what the routes of one app share."""

    engine: Engine
    store: RasterStore
    settings: Settings
    metrics: Metrics
    jobs: JobStore
    runner: JobRunner

    @property
    def limits(self) -> Limits:
        return self.settings.limits


def get_services(request: Request) -> Services:
    """Give the services of the request's app."""
    return cast(Services, request.app.state.services)


def get_owner(request: Request) -> str:
    """Give the owner that the gate has found."""
    return cast(str, request.state.owner)


KEY = HTTPBearer(auto_error=False, description="A key that the server was started with; none where it has none.")
Served = Annotated[Services, Depends(get_services)]
Owner = Annotated[str, Depends(get_owner)]
