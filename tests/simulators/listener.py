"""Somebody who is called back: keeps every call, and answers as the test says."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Heard:
    """One call."""

    path: str
    headers: dict[str, str]
    body: bytes


class Listener:
    """An HTTP server on loopback."""

    def __init__(self, *, status: int = 200, reply: bytes = b"") -> None:
        self.calls: list[Heard] = []
        self.status, self.reply = status, reply
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait(self, count: int, *, patience: float = 20.0) -> list[Heard]:
        """The calls once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, patience), self.calls
            return list(self.calls)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with listener._changed:
                    listener.calls.append(Heard(self.path, dict(self.headers), body))
                    listener._changed.notify_all()
                self.send_response(listener.status)
                self.send_header("Content-Length", str(len(listener.reply)))
                self.end_headers()
                self.wfile.write(listener.reply)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
