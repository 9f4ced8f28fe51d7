"""An OpenAI-compatible server on loopback that says what a test scripts."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

Asked = dict[str, Any]


@dataclass
class Response:
    """What the server sends: a status, headers, a body, how slowly.

    Attributes:
        wait: seconds before the first byte.
        drip: seconds between single bytes of the body.
        cut: announce the whole body, send half and hang up.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drip: float = 0.0
    cut: bool = False


Script = Callable[[Asked], Response]
"""A request's JSON to the response; the last one of a list is repeated."""


@dataclass
class Heard:
    """What a server was asked: bodies, paths and headers (names in lower case) in order."""

    url: str = ""
    bodies: list[Asked] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)


def says(content: Any, finish: str = "stop", logprobs: Any = None, **message: Any) -> Response:
    """A chat completion; a content that is no text is sent as JSON."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
        "logprobs": logprobs,
    }
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return Response(json.dumps(body).encode())


def streams(*events: Any, done: bool = True, **response: Any) -> Response:
    """A stream of server-sent events; one that is no bytes is sent as a chunk's JSON, a text as the
    next piece of the reply."""
    body = b"".join(_event(event) for event in events) + (b"data: [DONE]\n\n" if done else b"")
    return Response(body, headers={"Content-Type": "text/event-stream"}, **response)


def _event(event: Any) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        event = piece(event)
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def piece(content: str | None, finish: str | None = None, **choice: Any) -> Asked:
    """A chunk of a streamed chat completion."""
    delta = {} if content is None else {"content": content}
    chosen = {"index": 0, "delta": delta, "finish_reason": finish, **choice}
    return {"id": "1", "object": "chat.completion.chunk", "choices": [chosen]}


def refuses(status: int, message: str, param: str | None = None, **headers: str) -> Response:
    """An error in the API's form."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps({"error": error}).encode(), status, named)


@contextmanager
def no_waiting(monkeypatch: Any) -> Iterator[list[float]]:
    """The client waits for nothing before it tries again; yields how long it would have."""
    import openai._base_client as client

    waits: list[float] = []
    with monkeypatch.context() as patch:
        patch.setattr(client, "time", SimpleNamespace(**{**vars(time), "sleep": waits.append}))
        yield waits


@contextmanager
def openai_server(*script: Response | Script) -> Iterator[Heard]:
    """Serve the responses of ``script`` in turn, the last one ever after."""
    heard = Heard()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                step = script[min(len(heard.bodies), len(script) - 1)]
                heard.bodies.append(asked)
                heard.paths.append(self.path)
                heard.headers.append({k.lower(): v for k, v in self.headers.items()})
            # A client that gave up waiting is part of the script.
            with contextlib.suppress(ConnectionError):
                self._send(step(asked) if callable(step) else step)

        def log_message(self, *_: object) -> None:
            pass

        def _send(self, response: Response) -> None:
            time.sleep(response.wait)
            self.send_response(response.status)
            for key, value in {"Content-Type": "application/json", **response.headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if response.cut:
                self.wfile.write(response.body[: len(response.body) // 2])
                self.close_connection = True
            elif response.drip:
                for byte in response.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(response.drip)
            else:
                self.wfile.write(response.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    heard.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
