"""An app on a port: uvicorn with what the server needs, and quiet about requests, which /metrics counts."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

_LINGER_S = 5
_MOST_CONNECTIONS = 2048


def build_server(app: FastAPI, *, host: str, port: int) -> uvicorn.Server:
    """Build the server of an app; `run` blocks until it is told to end, and open answers get a few seconds."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_LINGER_S,
        limit_concurrency=_MOST_CONNECTIONS,
    )
    return uvicorn.Server(config)
