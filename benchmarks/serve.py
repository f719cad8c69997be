"""Measure the server under load: throughput, waiting times, refusals, memory, and what it adds to the engine.

    python -m benchmarks.serve                                   the built-in model, engine local
    python -m benchmarks.serve --engine local --engine vllm      vLLM too (make setup-vllm)
    python -m benchmarks.serve --engine vllm --upstream URL      and that vLLM asked directly, for what the server adds

Each engine is `nadir serve` in a process of its own with ten keys; the clients are coroutines of this one. A question
is about one raster that was sent before, and its answer has --tokens tokens at most. Writes benchmarks/serve.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx2

from benchmarks.path import ROOT, name_commit, name_machine, write_small

REPORT = ROOT / "benchmarks" / "serve.md"
KEYS = tuple(f"key-of-client-{number}" for number in range(10))
CLIENTS = (1, 8, 32)
AT_ONCE = 200
PAIRS = 20
WORDS = "Describe the image."
_START_S = 600.0
_LIMITS = ("asks=100000/minute", "uploads=100000/minute", "open_per_key=100")


@dataclass(frozen=True, slots=True)
class Server:
    """Name a running server: its engine, where it listens, its model, and its process."""

    engine: str
    url: str
    model: str
    pid: int

    def peak_mb(self) -> float:
        """Read the peak memory in MB of the process and of those that it started."""
        return sum(_peak_mb(pid) for pid in _family(self.pid))


@dataclass(slots=True)
class Round:
    """Hold what one round of questions gave: seconds of each answer, tokens, statuses, seconds in all."""

    seconds: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    tokens: int = 0
    took_s: float = 0.0

    def percentile(self, share: float) -> float:
        """Give the seconds within which that share of the answers came."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


@contextmanager
def serving(engine: str, model: Path | None, folder: Path) -> Iterator[Server]:
    """Start a server and wait until it says where it listens; it ends with the block."""
    command = [sys.executable, "-c", "from vlm.cli import main; main()", "serve", "--engine", engine, "--port", "0"]
    command += ["--data", str(folder / engine), *(["--model", str(model)] if model else [])]
    command += [word for limit in _LIMITS for word in ("--limit", limit)]
    environment = {**os.environ, "NADIR_KEYS": " ".join(KEYS), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"nadir: (\S+) at (http://\S+)", line)
        if found is None:
            raise SystemExit(f"nadir serve --engine {engine} did not start: {line!r}")
        yield Server(engine, found[2], found[1], process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


async def ask_round(server: Server, raster: dict[str, str], *, clients: int, questions: int, tokens: int) -> Round:
    """Let clients ask one question after another until all are asked; a refusal is counted, not asked again."""
    done, left = Round(), iter(range(questions))

    async def ask() -> None:
        for number in left:
            key = KEYS[number % len(KEYS)]
            body = {"instruction": f"{WORDS} ({number})", "images": [raster[key]], "max_tokens": tokens}
            began = time.perf_counter()
            response = await http.post("/v1/ask", json=body, headers={"Authorization": f"Bearer {key}"})
            done.seconds.append(time.perf_counter() - began)
            done.statuses[response.status_code] += 1
            if response.status_code == 200:
                cost = response.json()["cost"]
                done.tokens += cost["new_tokens"]
                done.inside.append(sum(cost["stage_ms"].values()) / 1000)

    async with _client(server.url) as http:
        began = time.perf_counter()
        await asyncio.gather(*[ask() for _ in range(clients)])
        done.took_s = time.perf_counter() - began
    return done


async def send(server: Server, scene: Path) -> dict[str, str]:
    """Send the scene for every key, and give the ids."""
    ids = {}
    async with _client(server.url) as http:
        for key in KEYS:
            headers = {"Authorization": f"Bearer {key}"}
            response = await http.post("/v1/rasters?name=scene.tif", content=scene.read_bytes(), headers=headers)
            ids[key] = str(response.raise_for_status().json()["id"])
    return ids


async def compare(server: Server, upstream: str, tokens: int) -> tuple[float, float]:
    """Ask the same words of the server and of its upstream in turns; median seconds of each."""
    both: tuple[list[float], list[float]] = ([], [])
    async with _client(server.url) as http, _client(upstream.removesuffix("/v1")) as direct:
        known = (await direct.get("/v1/models")).raise_for_status().json()["data"][0]["id"]
        for number in range(PAIRS + 2):
            for client, model, seconds in ((http, server.model, both[0]), (direct, known, both[1])):
                body = {
                    "model": model, "max_tokens": tokens, "temperature": 0,
                    "messages": [{"role": "user", "content": f"Describe a harbour ({number})."}],
                }  # fmt: skip
                began = time.perf_counter()
                headers = {"Authorization": f"Bearer {KEYS[0]}"}
                (await client.post("/v1/chat/completions", json=body, headers=headers)).raise_for_status()
                if number >= 2:
                    seconds.append(time.perf_counter() - began)
    return median(both[0]), median(both[1])


def measure(server: Server, scene: Path, *, questions: int, tokens: int) -> list[tuple[str, Round, float]]:
    """Measure each number of clients, and AT_ONCE at the same time; with the peak memory in MB after each."""
    raster = asyncio.run(send(server, scene))
    asyncio.run(ask_round(server, raster, clients=1, questions=3, tokens=tokens))
    rounds = []
    for clients in CLIENTS:
        done = asyncio.run(
            ask_round(server, raster, clients=clients, questions=max(questions, 2 * clients), tokens=tokens)
        )
        rounds.append((str(clients), done, server.peak_mb()))
    done = asyncio.run(ask_round(server, raster, clients=AT_ONCE, questions=AT_ONCE, tokens=tokens))
    return [*rounds, (f"{AT_ONCE} at once", done, server.peak_mb())]


def render(
    measured: Sequence[tuple[Server, list[tuple[str, Round, float]]]],
    compared: tuple[float, float] | None,
    *,
    command: str,
    note: str,
) -> str:
    """Write the tables as Markdown."""
    lines = [
        "# The server: throughput, waiting, refusals, memory", "",
        f"Machine: {name_machine()}. Commit {name_commit()}. Command: `{command}`.{note and ' '}{note}",
        "A question is about one 512 px raster; ten keys ask in turns; `200 at once` is a question each of two hundred "
        "clients at the same moment. Seconds are those that a client waits, queue included. Memory is the peak of the "
        "server's processes.", "",
        "| engine | clients | answers/s | new tokens/s | p50 s | p99 s | answered | refused | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for server, rounds in measured:
        for clients, done, peak_mb in rounds:
            answered = done.statuses[200]
            refused = ", ".join(f"{count} x {status}" for status, count in done.statuses.items() if status != 200)
            lines.append(
                f"| {server.engine} | {clients} | {answered / done.took_s:.2f} | {done.tokens / done.took_s:.0f} | "
                f"{done.percentile(0.5):.2f} | {done.percentile(0.99):.2f} | {answered} | {refused or 0} | "
                f"{peak_mb:,.0f} |"
            )
    lines += ["", "What the server adds, one client: the seconds of an answer less those of reading and generating."]
    lines += ["", "| engine | answer s | read and generate s | added ms | share |", "|---|---|---|---|---|"]
    for server, rounds in measured:
        done = rounds[0][1]
        whole, inside = median(done.seconds), median(done.inside)
        added = median(whole_s - inside_s for whole_s, inside_s in zip(done.seconds, done.inside, strict=True))
        lines.append(f"| {server.engine} | {whole:.3f} | {inside:.3f} | {added * 1000:.1f} | {added / whole:.1%} |")
    if compared is not None:
        through, direct = compared
        lines += [
            "", f"The same words asked {PAIRS} times in turns: {through * 1000:.1f} ms through the server, "
            f"{direct * 1000:.1f} ms of vLLM directly, {through / direct - 1:+.1%} (promised: below 5 %).",
        ]  # fmt: skip
    if all(server.engine != "vllm" for server, _ in measured):
        lines += [
            "", "vLLM is measured by `--engine vllm` once it is installed (`make setup-vllm`), and asked directly "
            "too by `--upstream`.",
        ]  # fmt: skip
    return "\n".join([*lines, ""])


def _client(url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None)
    return httpx2.AsyncClient(base_url=url, timeout=_START_S, limits=limits, trust_env=False)


def _family(pid: int) -> list[int]:
    """Give a process and all that it started, however deep."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        found = [int(child) for child in children.read_text().split()]
    except OSError:
        found = []
    return [pid, *(inner for child in found for inner in _family(child))]


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1024 if "VmHWM:" in status else 0.0


def main(say: Callable[[str], None] = print) -> None:
    """Measure the engines that are asked for, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", choices=["local", "vllm"], help="may be repeated; local")
    parser.add_argument("--model", type=Path, help="a checkpoint; the built-in model by default")
    parser.add_argument("--upstream", metavar="URL", help="the vLLM behind the last engine, to be asked directly too")
    parser.add_argument("--questions", type=int, default=40, help="questions of a round")
    parser.add_argument("--tokens", type=int, default=32, help="the longest answer")
    parser.add_argument("--note", default="", help="a sentence on the machine")
    parser.add_argument("--out", type=Path, default=REPORT)
    options = parser.parse_args()
    measured, compared = [], None
    with tempfile.TemporaryDirectory() as temporary:
        scene = write_small(Path(temporary) / "scene.tif")
        for engine in options.engine or ["local"]:
            with serving(engine, options.model, Path(temporary)) as server:
                measured.append((server, measure(server, scene, questions=options.questions, tokens=options.tokens)))
                if options.upstream and engine == "vllm":
                    compared = asyncio.run(compare(server, options.upstream, options.tokens))
    engines = "".join(f" --engine {engine}" for engine in options.engine or [])
    command = f"python -m benchmarks.serve{engines} --questions {options.questions} --tokens {options.tokens}"
    text = render(measured, compared, command=command, note=options.note)
    options.out.write_text(text, encoding="utf-8")
    rows = {
        server.engine: {name: len(done.seconds) / done.took_s for name, done, _ in rounds}
        for server, rounds in measured
    }
    say(json.dumps({"report": str(options.out), "asked_per_s": rows}))


if __name__ == "__main__":
    main()
