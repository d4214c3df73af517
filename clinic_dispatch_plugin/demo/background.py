"""What runs beside the demo's own words: the mail relay, the web server, and a worker in a process of its own."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from clinic_dispatch_plugin.demo import scenarios
from clinic_dispatch_plugin.engine.worker import DRAIN_SECONDS
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, ScriptedBehaviour, SmtpSimulator

#: Seconds the worker gets for what it has begun: a little more than it gives its own processes.
_STOP_SECONDS = DRAIN_SECONDS + 5.0
#: Loaded here: between fork and exec nothing may be loaded.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class DemoProblem(Exception):
    """The demo cannot start; the text says what to do."""


class FolderProblem(DemoProblem):
    """The data folder cannot be made or written."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@contextmanager
def relay(data_dir: Path) -> Iterator[SmtpSimulator]:
    """The mail relay, on a thread of this process."""
    table = scenarios.write_scenarios(data_dir / "relay-scenarios.json")
    settings = RelaySettings(
        ledger=data_dir / "relay-ledger.jsonl",
        mailbox=data_dir / "outbox",
        mode_file=data_dir / "relay-mode",
        behaviour=ScriptedBehaviour(table, greylist_seconds=1.0),
    )
    with SmtpSimulator(settings) as running:
        yield running


def listen(port: int) -> Any:
    """The web server on its port, not serving yet; its ``app`` is to be set.

    :raises DemoProblem: the port cannot be used.
    """

    def not_yet(environ: Any, start_response: Any) -> list[bytes]:
        start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"The clinic is being prepared."]

    # werkzeug ends the process by itself when a port is taken; asked beforehand it can be said better.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoProblem(
                f"Port {port} cannot be used ({error.strerror}): choose another with --port, or --port 0."
            ) from None
    return make_server("127.0.0.1", port, not_yet, threaded=True, request_handler=_Quiet)


class _Quiet(WSGIRequestHandler):
    """No line for each request: the terminal belongs to the demo's words."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def serving(server: Any) -> Iterator[None]:
    """Pages are answered as long as this lasts."""
    thread = threading.Thread(target=server.serve_forever, name="demo-web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """One worker in a process of its own, as a clinic would run it."""
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", "worker"]
    with _worker_log().open("ab") as log:
        process = subprocess.Popen(
            command,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stderr=log,
            stdout=log,
            preexec_fn=functools.partial(_die_with, os.getpid()),
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)  # a second one ends it at once
            try:
                process.wait(_STOP_SECONDS / 4)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _worker_log() -> Path:
    return Path(os.environ["CLINIC_DISPATCH_DATA_DIR"]) / "worker.log"


def _die_with(parent: int) -> None:
    """On Linux the worker is told when this process is killed (prctl PR_SET_PDEATHSIG)."""
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before it could be told
            os._exit(1)


def check_worker(process: subprocess.Popen[bytes]) -> None:
    """:raises DemoProblem: the worker ended by itself."""
    if process.poll() is None:
        return
    lines = _worker_log().read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it said nothing"
    raise DemoProblem(f"The worker ended by itself: {last} (all of it is in {_worker_log()})")
