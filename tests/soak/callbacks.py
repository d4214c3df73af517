"""Between the gateway and the pages: passes reports on, and makes a storm of those it has seen."""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Reports that are remembered for a storm.
REMEMBERED = 400


class Reports:
    """What the gateway said."""

    def __init__(self, web_port: int, dice: random.Random) -> None:
        self._web_port = web_port
        self._dice = dice
        self._seen: deque[tuple[str, bytes]] = deque(maxlen=REMEMBERED)
        self.refused = 0

    def passed_on(self, path: str, body: bytes) -> int:
        """Hand a report to the pages; the status they answer with."""
        self._seen.append((path, body))
        return self._post(path, body)

    def storm(self) -> int:
        """Everything remembered, backwards and then shuffled; returns how many calls."""
        several = list(self._seen)[-120:]
        shuffled = several[:]
        self._dice.shuffle(shuffled)
        threading.Thread(target=self._rain, args=(several[::-1] + shuffled,), daemon=True).start()
        return len(several) * 2

    def _rain(self, several: list[tuple[str, bytes]]) -> None:
        for path, body in several:
            if self._post(path, body) not in (200, 503):
                self.refused += 1

    def _post(self, path: str, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._web_port, timeout=10)
        try:
            connection.request(
                "POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"}
            )
            return connection.getresponse().status
        except OSError:
            return 503
        except http.client.HTTPException:
            return 503
        finally:
            connection.close()


@contextlib.contextmanager
def listening(port: int, reports: Reports) -> Iterator[None]:
    """Take the gateway's calls."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(reports.passed_on(self.path, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
