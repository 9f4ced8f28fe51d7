"""A model hub on loopback: the few requests that a download makes, and what each refusal says."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(
    name: str, files: Mapping[str, bytes], *, licence: str = "mit", gated: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """Serve one model repository; yields the address and the list of requests made.

    Args:
        gated: answer every file as the hub does without access.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            asked.append(f"{self.command} {path}")
            if path.startswith(f"/api/models/{name}/tree/"):
                return self._json([_file(n, data) for n, data in files.items()])
            if path.startswith(f"/api/models/{name}"):
                if "/revision/" in path and path.rsplit("/", 1)[1] not in ("main", COMMIT):
                    return self._refuse(404, "RevisionNotFound")
                return self._json(_info(name, files, licence, gated))
            resolved = path.removeprefix(f"/{name}/resolve/")
            if resolved != path:
                file = resolved.partition("/")[2]
                if gated:
                    return self._refuse(403, "GatedRepo")
                if file in files:
                    return self._file(files[file], body)
                return self._refuse(404, "EntryNotFound")
            return self._refuse(404, "RepoNotFound")

        def _json(self, data: Any) -> None:
            self._send(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

        def _file(self, data: bytes, body: bool) -> None:
            headers = {
                "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
                "Content-Type": "application/octet-stream",
            }
            self._send(200, data, headers, body)

        def _refuse(self, code: int, reason: str) -> None:
            self._send(code, b"{}", {"X-Error-Code": reason, "X-Error-Message": reason})

        def _send(
            self, code: int, data: bytes, headers: Mapping[str, str], body: bool = True
        ) -> None:
            self.send_response(code)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body and self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _file(name: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {
        "type": "file",
        "path": name,
        "size": len(data),
        "oid": digest[:40],
        "lfs": {"oid": digest, "size": len(data), "pointerSize": 100},
    }


def _info(name: str, files: Mapping[str, bytes], licence: str, gated: bool) -> dict[str, Any]:
    return {
        "_id": "1",
        "id": name,
        "modelId": name,
        "sha": COMMIT,
        "private": False,
        "disabled": False,
        "gated": "manual" if gated else False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "cardData": {"license": licence},
        "siblings": [{"rfilename": n, "size": len(d)} for n, d in files.items()],
    }
