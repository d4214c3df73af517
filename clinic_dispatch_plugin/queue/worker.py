"""One RQ worker on our queues: the only place that knows RQ's worker."""

from __future__ import annotations

import logging

from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer

from clinic_dispatch_plugin.queue.doorbell import connect
from clinic_dispatch_plugin.queue.names import queue_names


def work(*, url: str, prefix: str, burst: bool) -> bool:
    """Run jobs until told to stop, or with ``burst`` until the queues are empty; False: Redis went away."""
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    try:
        worker = Worker(
            queue_names(prefix),
            connection=connect(url, timeout=None),
            serializer=JSONSerializer,
            log_job_description=False,
        )
        worker.work(burst=burst, logging_level="WARNING")
    except (RedisError, OSError) as error:
        logging.getLogger(__name__).warning("queue not reachable: %s", type(error).__name__)
        return False
    return True
