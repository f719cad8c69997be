"""A vLLM of the server's own: started, waited for, started again when it dies, and ended with everything it started.

It listens on a socket file in a folder that nobody else can read, so that its whole interface, which knows no keys, is
the server's alone and no port can be taken twice.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2

from serve.errors import RequestError

_START_S = 1800.0
_STOP_S = 15.0
_LOOK_S = 0.25
_TELL_S = 15.0
_WAITS_S = (1.0, 2.0, 5.0, 15.0, 60.0)
_WELL_S = 60.0
_REASON = re.compile(r"(?:\b\w*(?:Error|Exception)\b|\berror:|\bnadir:).*")
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "NADIR_WATCHED": "1"}
_ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCH_COMPILE_DISABLE": "1",
}
Say = Callable[[str], None]


class VllmProcess:
    """Keep one vLLM alive."""

    def __init__(self, python: str, arguments: Sequence[str], *, log: Path, say: Say, on_cpu: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="nadir-vllm-"))
        self.socket = self._folder / "vllm.sock"
        self._command = [python, "-m", "serve.vllm_plugin", "serve", *arguments, "--uds", str(self.socket)]
        self._environment = {**_ENVIRONMENT, **(_ON_CPU if on_cpu else {}), **os.environ}
        self._log, self._say = log, say
        self._ready, self._ended = threading.Event(), threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="nadir-vllm", daemon=True)
        self.starts = 0

    @property
    def ready(self) -> bool:
        """Say whether it answers."""
        return self._ready.is_set()

    @property
    def pid(self) -> int:
        """Give the number of the process, which leads a group of its own."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start vLLM and wait until it answers; RequestError with vLLM's own reason where it does not."""
        with ExitStack() as stack:
            stack.callback(self.stop)
            self._spawn()
            self._wait()
            stack.pop_all()
        self._keeper.start()

    def stop(self) -> None:
        """End vLLM and all that it has started."""
        self._ended.set()
        self._ready.clear()
        self._end_group()
        if self._keeper.is_alive():
            self._keeper.join()
            self._end_group()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".old.log"))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts += 1

    def _wait(self) -> None:
        """Wait until vLLM answers, telling now and then what it does."""
        began = told = time.monotonic()
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(self.socket)), base_url="http://vllm") as http:
            while not _answers(self.socket, http):
                now = time.monotonic()
                if self._ended.wait(_LOOK_S):
                    raise RequestError("vLLM was stopped while it started")
                if self._process is None or self._process.poll() is not None or now - began > _START_S:
                    raise RequestError(f"vLLM did not start: {self._reason()}; its log is {self._log}")
                if now - told > _TELL_S:
                    told = now
                    self._say(f"nadir: vLLM is starting, {now - began:.0f} s so far: {self._last_line()}")
        self._ready.set()

    def _keep(self) -> None:
        """Wait for the end of vLLM, and start it again until the server ends; the more often it dies, the later."""
        deaths = 0
        while not self._ended.is_set():
            began, process = time.monotonic(), self._process
            assert process is not None
            process.wait()
            self._ready.clear()
            if self._ended.is_set():
                return
            self._end_group()
            deaths = 1 if time.monotonic() - began > _WELL_S else deaths + 1
            wait_s = _WAITS_S[min(deaths, len(_WAITS_S)) - 1]
            self._say(f"nadir: vLLM has died ({self._reason()}): it is started again in {wait_s:.0f} s")
            if self._ended.wait(wait_s):
                return
            self._spawn()
            try:
                self._wait()
            except RequestError as error:
                self._say(f"nadir: {error}")
                self._end_group()
            else:
                self._say("nadir: vLLM answers again")

    def _end_group(self) -> None:
        """End the process and its group: politely, then not."""
        process = self._process
        if process is None:
            return
        _signal(process.pid, signal.SIGTERM if process.poll() is None else signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        _signal(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def _last_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][-160:] if lines else "no word yet"

    def _reason(self) -> str:
        """Find in the log why vLLM ended: the last line that names an error."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        named = [found[0] for line in lines if (found := _REASON.search(line))]
        code = self._process.poll() if self._process is not None else None
        return (named[-1] if named else f"it ended with status {code}")[:300]


def _answers(path: Path, http: httpx2.Client) -> bool:
    """Ask for its health; vLLM makes the socket file long before it listens, so that is looked at first."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    try:
        return http.get("/health", timeout=5).is_success
    except httpx2.TransportError:
        return False


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
