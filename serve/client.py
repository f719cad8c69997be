"""A client of a Nadir server, in three lines.

from serve.client import Client
nadir = Client("http://127.0.0.1:8000")
answer = nadir.ask(nadir.send("scene.tif"), "Where are the ships?")
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from serve.errors import RequestError
from vlm.output import replacing, write_text

_TIMEOUT_S = 600.0
_PIECE_BYTES = 1024**2


class Client:
    """Ask a Nadir server; images are ids that `send` gave. Refusals are RequestError with the server's sentence."""

    def __init__(self, url: str, *, key: str | None = None, timeout_s: float = _TIMEOUT_S) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout_s)

    def send(self, path: str | Path, *, name: str | None = None) -> str:
        """Send a raster of any size, in pieces, and give its id."""
        file = Path(path)
        sent = self._ask("POST", "/v1/rasters", params={"name": name or file.name}, content=_pieces(file))
        return str(sent["id"])

    def ask(self, *images_and_instruction: str, **options: Any) -> dict[str, Any]:
        """Ask about one raster or several dates: words, regions, geojson, cost; `options` as of /v1/ask."""
        *images, instruction = images_and_instruction
        answer = self._ask("POST", "/v1/ask", json={"instruction": instruction, "images": images, **options})
        assert isinstance(answer, dict)
        return answer

    def start(self, raster: str, instruction: str, **options: Any) -> str:
        """Start a job about every window of a raster, and give its id; `options` as of /v1/jobs."""
        return str(self._ask("POST", "/v1/jobs", json={"raster": raster, "instruction": instruction, **options})["id"])

    def job(self, job: str) -> dict[str, Any]:
        """Say how far a job is: its state, progress, error and ledger."""
        return dict(self._ask("GET", f"/v1/jobs/{job}"))

    def wait(self, job: str, *, every_s: float = 2.0) -> dict[str, Any]:
        """Wait until a job has ended, and say how; RequestError where it has failed."""
        while (status := self.job(job))["state"] in ("waiting", "running"):
            time.sleep(every_s)
        if status["state"] == "failed":
            raise RequestError(f"job {job} has failed: {status['error']}")
        return status

    def fetch(self, job: str, path: str | Path) -> Path:
        """Write the features of a job that is done to a file, in the format that it was started with."""
        with replacing(Path(path)) as temporary, self._http.stream("GET", f"/v1/jobs/{job}/result") as response:
            if not response.is_success:
                response.read()
                raise _refusal(response)
            with temporary.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
        return Path(path)

    def stop(self, job: str) -> None:
        """Stop a job, and delete what it has found."""
        self._ask("DELETE", f"/v1/jobs/{job}")

    def register(self, *, path: str | None = None, url: str | None = None, name: str = "") -> str:
        """Take a file that the server can reach, by its path under a root or by its address, and give its id."""
        named = {"path": path} if url is None else {"url": url}
        return str(self._ask("POST", "/v1/rasters/register", json={**named, "name": name})["id"])

    def rasters(self) -> list[dict[str, Any]]:
        """List the rasters of this key."""
        return list(self._ask("GET", "/v1/rasters")["data"])

    def delete(self, raster: str) -> None:
        """Delete a raster."""
        self._ask("DELETE", f"/v1/rasters/{raster}")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx2.TransportError as error:
            raise RequestError(
                f"{self._http.base_url} cannot be reached ({error}): see that nadir serve runs"
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        raise _refusal(response)


def _refusal(response: httpx2.Response) -> RequestError:
    try:
        sentence = response.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        sentence = f"answered {response.text[:200]!r}"
    return RequestError(f"{response.status_code}: {sentence}")


def write_geojson(answer: dict[str, Any], path: str | Path) -> Path:
    """Write the regions of an answer as a GeoJSON file."""
    return write_text(Path(path), json.dumps(answer["geojson"], ensure_ascii=False) + "\n")


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            yield piece
