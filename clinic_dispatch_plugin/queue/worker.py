"""One RQ worker on our queues: the only place that knows RQ's worker."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer

from clinic_dispatch_plugin.queue.doorbell import connect
from clinic_dispatch_plugin.queue.names import queue_names


class _TellingWorker(Worker):
    """Tells when it is asked to stop, for its work-horse sits in a process group that no signal of ours reaches."""

    on_stop: Callable[[], object] | None = None
    #: Seconds between two looks for a Redis that went away: work goes on soon after its return.
    max_connection_wait_time = 10.0

    def subscribe(self) -> None:
        """Listen to no commands of RQ's own: nobody sends any, and a process that forks is better without threads."""

    def request_stop(self, signum: int, frame: Any) -> None:
        """The first SIGTERM or SIGINT."""
        if self.on_stop is not None:
            self.on_stop()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """A second SIGINT kills the job; a second SIGTERM is only our supervisor's, after somebody signalled us all."""
        if signum != signal.SIGTERM:
            super().request_force_stop(signum, frame)


def work(
    *, url: str, prefix: str, burst: bool, on_stop: Callable[[], object] | None = None
) -> bool:
    """Run jobs until told to stop, or with ``burst`` until the queues are empty; False: Redis went away.

    :param on_stop: called in a signal handler, before the job under way is waited for.
    """
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    try:
        worker = _TellingWorker(
            queue_names(prefix),
            connection=connect(url, timeout=None),
            serializer=JSONSerializer,
            log_job_description=False,
        )
        worker.on_stop = on_stop
        worker.work(burst=burst, logging_level="WARNING")
    except (RedisError, OSError) as error:
        logging.getLogger(__name__).warning("queue not reachable: %s", type(error).__name__)
        return False
    return True
