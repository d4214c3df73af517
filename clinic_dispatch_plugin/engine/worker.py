"""The worker: a supervisor without threads, its tender, its RQ workers, and the embedded server."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.channels.faults import WORKER_PIDS
from clinic_dispatch_plugin.engine import drain, store
from clinic_dispatch_plugin.engine.journal import try_folder
from clinic_dispatch_plugin.engine.processes import Process, children_of, kill
from clinic_dispatch_plugin.engine.pump import worker_name
from clinic_dispatch_plugin.engine.recovery import awaits_recovery
from clinic_dispatch_plugin.engine.tender import tend, tend_forever
from clinic_dispatch_plugin.engine.turns import next_turn
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.queue.embedded import EmbeddedServerError, ServerKeeper
from clinic_dispatch_plugin.queue.worker import work as work_queues
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds a window's open messages get after SIGTERM before the processes are killed.
DRAIN_SECONDS = 40.0
#: Rounds of ``--burst`` in which nothing moved before it gives up.
ROUNDS_IN_VAIN = 5
_TICK = 0.2
_RESTART_PAUSE = 1.0
#: Why nothing is sent from a database restored from a backup.
BEHIND = (
    "The database is older than what was sent from here: it was restored from a backup. What waits in it may have "
    "gone out since, so nothing is sent before `flask dispatch recover --restored` was run."
)


class WorkerProblem(Exception):
    """The worker cannot start; the text says what to do."""


def run_worker(dispatch: Dispatch, *, burst: bool = False, concurrency: int = 1) -> int:
    """Work until SIGTERM or SIGINT, or with ``burst`` until nothing is due; returns the exit status.

    :param concurrency: RQ workers beside each other; SQLite has one writer, so there one is enough.
    :raises WorkerProblem: the journal's folder cannot be used, the database comes from a backup, the embedded server
        does not start, or with ``burst`` the configured one does not answer.
    """
    drain.reset()
    _check_spool(dispatch)
    if awaits_recovery(dispatch):
        raise WorkerProblem(BEHIND)
    keeper = ServerKeeper(dispatch.settings.data_dir) if dispatch.doorbell.embedded else None
    try:
        if keeper is not None:
            keeper.ensure()
        supervisor = Supervisor(dispatch, keeper, concurrency=concurrency)
        return supervisor.burst() if burst else supervisor.stay()
    except EmbeddedServerError as error:
        raise WorkerProblem(str(error)) from error
    finally:
        if keeper is not None:
            keeper.stop()


def _check_spool(dispatch: Dispatch) -> None:
    folder = dispatch.settings.spool_dir
    try:
        try_folder(folder)
    except OSError as error:
        raise WorkerProblem(
            f"{folder} cannot be written or locked ({error.strerror}): make it writable for this user, "
            "on a local disk, or set CLINIC_DISPATCH_DATA_DIR to another folder."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What there is to do; the same twice means that nothing was done between."""

    waiting: int
    oldest: datetime | None
    plans: tuple[int, ...]
    runs: int


class Supervisor:
    """Starts the processes, starts again what dies, and ends them all."""

    def __init__(
        self, dispatch: Dispatch, keeper: ServerKeeper | None, *, concurrency: int
    ) -> None:
        self._dispatch = dispatch
        self._keeper = keeper
        self._concurrency = concurrency
        self._children: dict[int, Callable[[], object]] = {}
        #: What our children had started when they were asked to end.
        self._horses: set[Process] = set()
        self._name = worker_name()
        os.environ[WORKER_PIDS] = str(os.getpid())

    def stay(self) -> int:
        """Work until told to stop."""
        with _signals():
            try:
                self._stay()
                self._end_children()
            finally:
                self._kill_children()
                self._sign_off()
        return 0

    def _stay(self) -> None:
        self._start(self._tender)
        for _ in range(self._concurrency):
            self._start(self._queue_worker)
        while not drain.requested():
            self._reap(restart=True)
            if self._keeper is not None:
                with contextlib.suppress(EmbeddedServerError):
                    self._keeper.tend()
            time.sleep(_TICK)

    def burst(self) -> int:
        """Work until nothing is due any more; what waits for a later try stays waiting.

        :raises WorkerProblem: there is something to do, and nothing of it gets done.
        """
        with _signals():
            try:
                self._burst()
                self._end_children()
            finally:
                self._kill_children()
        return 0

    def _burst(self) -> None:
        before, in_vain = None, 0
        while not drain.requested():
            self._need_queue()
            tend(self._dispatch)
            left = self._left()
            if left is None:
                return
            # Another worker's run or plan may take its time over what is left.
            others = left.runs or left.plans or not left.waiting
            in_vain = in_vain + 1 if left == before and not others else 0
            if in_vain >= ROUNDS_IN_VAIN:
                raise WorkerProblem(
                    f"{left.waiting} messages are due and none of them moved in {in_vain} rounds: the lines above "
                    "say why (a full disk, say). Mend that and start the worker again; nothing is lost meanwhile."
                )
            before = left
            self._one_round()

    def _one_round(self) -> None:
        for _ in range(1, self._concurrency):
            self._dispatch.doorbell.ring()
        for _ in range(self._concurrency):
            self._start(self._burst_worker)
        while self._children and not drain.requested():
            self._reap(restart=False)
            time.sleep(0.02)
        time.sleep(0.05)  # what is left may be another worker's

    def _need_queue(self) -> None:
        if self._keeper is not None:
            self._keeper.ensure()
        elif not self._dispatch.doorbell.answers():
            raise WorkerProblem(
                "The queue does not answer: start the server that CLINIC_DISPATCH_REDIS_URL names, or leave the "
                "variable unset for the embedded one. Nothing is lost meanwhile."
            )

    def _left(self) -> _Left | None:
        """What there is to do; None: nothing."""
        with self._dispatch.database.begin() as connection:
            turn = next_turn(connection, self._dispatch)
            waiting, oldest = messages.waiting(connection)
            left = _Left(
                waiting=waiting,
                oldest=oldest,
                plans=tuple(messages.plans_left(connection)),
                runs=store.live_runs(connection),
            )
        return left if turn is not None or left.plans or left.runs else None

    # -- processes --------------------------------------------------------------------------------

    def _start(self, body: Callable[[], object]) -> None:
        parent = os.getpid()
        self._dispatch.database.dispose()
        pid = os.fork()
        if pid:
            self._children[pid] = body
            return
        status = 1
        try:
            _die_with(parent)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            body()
            status = 0
        except BaseException as error:
            log.error("a process of the worker ended: %s", places(error))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _tender(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: drain.request())
        tend_forever(
            self._dispatch,
            worker=self._name,
            host=socket.gethostname()[:128],
            concurrency=self._concurrency,
            parent=os.getppid(),
        )

    def _queue_worker(self) -> None:
        self._work_queues(burst=False)

    def _burst_worker(self) -> None:
        self._work_queues(burst=True)

    def _work_queues(self, *, burst: bool) -> None:
        os.environ[WORKER_PIDS] = f"{os.environ[WORKER_PIDS]},{os.getpid()}"
        dispatch = self._dispatch
        work_queues(
            url=dispatch.doorbell.url,
            prefix=dispatch.settings.queue_prefix,
            burst=burst,
            on_stop=drain.request,
        )

    def _reap(self, *, restart: bool) -> None:
        for pid, body in list(self._children.items()):
            done, _ = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._children[pid]
                if restart and not drain.requested():
                    time.sleep(_RESTART_PAUSE)
                    self._start(body)

    def _end_children(self) -> None:
        """Ask all to end, and wait for their open windows."""
        drain.request()
        self._horses |= children_of(self._children)  # the RQ worker of one may end before it
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._children and time.monotonic() < deadline:
            self._reap(restart=False)
            time.sleep(0.05)

    def _kill_children(self) -> None:
        """Whatever did not listen, or was given no time: none of it outlives the worker."""
        drain.request()
        # First the RQ workers, so that none starts another work-horse meanwhile.
        horses = self._horses | children_of(self._children)
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        kill(horses)

    def _sign_off(self) -> None:
        try:
            self._dispatch.database.run(lambda connection: store.sign_off(connection, self._name))
        except SQLAlchemyError as error:  # it is missed soon enough
            log.warning("the worker could not sign off: %s", places(error))


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """The first SIGTERM or SIGINT drains, the second ends at once."""
    received: list[int] = []

    def handler(number: int, _: object) -> None:
        # Our own count: a manager that signals every process lets our children raise the shared flag before us.
        received.append(number)
        drain.request()
        if len(received) == 2:  # a third one must not stop us from killing what is left
            raise KeyboardInterrupt

    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _die_with(parent: int) -> None:
    """On Linux a child is told when its supervisor dies (prctl PR_SET_PDEATHSIG); it then finishes and ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
