"""Rings for a worker: Redis carries nothing that is not in the database already, so a lost ring loses nothing."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker

from clinic_dispatch_plugin.channels.faults import fail_point
from clinic_dispatch_plugin.queue import names
from clinic_dispatch_plugin.queue.embedded import redis_url

log = logging.getLogger(__name__)

#: A web request never waits longer for Redis, in seconds.
PATIENCE_SECONDS = 1.0
#: A pump works five minutes, and its slowest single call lasts ten; whoever needs longer hangs.
JOB_SECONDS = 1_000
#: More rings than this in the queue would only be answered by "nothing to do".
MOST_RINGS = 16


class Doorbell:
    """Rings workers; never raises and never waits longer than a second."""

    def __init__(self, *, url: str | None, data_dir: Path, prefix: str) -> None:
        self.embedded = url is None
        self._url = url
        self._data_dir = data_dir
        self._prefix = prefix
        self._lock = threading.Lock()
        self._client: tuple[int, Redis] | None = None
        self._complained = False

    @property
    def url(self) -> str:
        """Where the queue is."""
        return self._url or redis_url(self._data_dir)

    def client(self) -> Redis:
        """An impatient client of this process; a forked child makes its own."""
        with self._lock:
            if self._client is None or self._client[0] != os.getpid():
                self._client = (os.getpid(), connect(self.url, timeout=PATIENCE_SECONDS))
            return self._client[1]

    def ring(self) -> bool:
        """Ask for a pump; False: Redis is not there, a worker's tender finds the work in the database."""
        return self._enqueue(names.PUMP, names.PUMP_JOB)

    def ring_plan(self, mailing_id: int) -> bool:
        """Ask for a mailing's messages to be written; False as in :meth:`ring`."""
        return self._enqueue(names.PLAN, names.PLAN_JOB, mailing_id)

    def answers(self) -> bool:
        """Whether Redis is there."""
        try:
            return bool(self.client().ping())
        except (RedisError, OSError):
            return False

    def listeners(self) -> list[str]:
        """Names of the RQ workers on our queues, ours and plain ones, idle or not."""
        ours = set(names.queue_names(self._prefix))
        try:
            found = Worker.all(connection=self.client())
            return sorted(worker.name for worker in found if ours & set(worker.queue_names()))
        except (RedisError, OSError):
            return []

    def _enqueue(self, queue: str, function: str, *args: int) -> bool:
        fail_point("enqueue.before")
        try:
            found = Queue(f"{self._prefix}-{queue}", connection=self.client(), serializer="json")
            if found.count < MOST_RINGS:
                found.enqueue_call(
                    function, args=args, timeout=JOB_SECONDS, result_ttl=0, failure_ttl=300
                )
        except (RedisError, OSError) as error:
            if not self._complained:
                log.warning("queue not reachable (%s); nothing is lost", type(error).__name__)
            self._complained = True
            return False
        self._complained = False
        return True


def connect(url: str, *, timeout: float | None) -> Redis:
    """A client that tries once; ``timeout`` in seconds, None for a worker that waits for jobs."""
    return Redis.from_url(
        url,
        socket_connect_timeout=timeout or 5.0,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
