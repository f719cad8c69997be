"""A real HTTP server on 127.0.0.1 that speaks like an OpenAI-compatible endpoint and misbehaves when it is told to."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["Handler"], None]


class ModelServer(ThreadingHTTPServer):
    """Answer with `answer(body)`; each of `faults` is used up by one request, in order. Requests are kept."""

    daemon_threads = True

    def __init__(self, answer: Callable[[dict[str, Any]], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.faults = answer, list[Fault]()
        self.requests, self.headers, self.times = list[dict[str, Any]](), list[dict[str, str]](), list[float]()
        self.slow_s, self.running, self.most_running = 0.0, 0, 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = self.server
        with model.lock:
            model.requests.append(body)
            model.headers.append({name.lower(): value for name, value in self.headers.items()})
            model.times.append(time.monotonic())
            fault = model.faults.pop(0) if model.faults else None
            model.running += 1
            model.most_running = max(model.most_running, model.running)
        try:
            if fault is not None:
                fault(self)
            elif self.path != "/v1/chat/completions":
                self.say(404, {"error": {"message": f"no {self.path} here"}})
            else:
                time.sleep(model.slow_s)
                self.say(200, completion(model.answer(body)))
        finally:
            with model.lock:
                model.running -= 1

    def say(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def completion(text: str, *, finish: str = "stop") -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


def status(code: int, headers: dict[str, str] | None = None) -> Fault:
    return lambda handler: handler.say(code, {"error": {"message": f"code {code}"}}, headers)


def hang(seconds: float) -> Fault:
    return lambda handler: time.sleep(seconds)


def cut_body(handler: Handler) -> None:
    """Promise a whole body and send half of it."""
    data = json.dumps(completion("never seen whole")).encode()
    handler.send_response(200)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.wfile.flush()
    handler.close_connection = True


def cut_json(handler: Handler) -> None:
    """Send a body that is whole for HTTP and half for JSON."""
    data = json.dumps(completion("never seen whole")).encode()
    handler.say(200, data[: len(data) // 2])


def reset(handler: Handler) -> None:
    """Break the connection without a word (RST)."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def reply(content: Any) -> Fault:
    return lambda handler: handler.say(200, content)


@contextmanager
def serve(answer: Callable[[dict[str, Any]], str]) -> Iterator[ModelServer]:
    server = ModelServer(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
