"""An account's rate over all workers on all machines: counted in Redis, and by the database while Redis is away."""

from __future__ import annotations

import logging
import time

from redis.exceptions import RedisError

from clinic_dispatch_plugin.accounts import store
from clinic_dispatch_plugin.queue.rate import take
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds' worth of a rate that may be made up for at once after a pause; what ten seconds may hold too much.
BURST_SECONDS = 0.15
#: Seconds for which Redis is not asked again after it did not answer.
AWAY_SECONDS = 3.0
#: Seconds after its return for which the database counts as well: until then others may not know that it is back.
BOTH_SECONDS = 10.0
_CACHE = "account_rates"


class SharedRate:
    """One account's rate as this process knows it."""

    def __init__(self, dispatch: Dispatch, row_id: int) -> None:
        self._dispatch = dispatch
        self._row_id = row_id
        self._key = f"{dispatch.settings.queue_prefix}-rate-{row_id}"
        #: Monotonic times: Redis is asked from the one on, the database up to the other.
        self._redis_from = 0.0
        self._database_until = 0.0

    def take(self, number: int, rate: float) -> float:
        """Take so many messages' worth; 0: taken, else seconds until it may be."""
        now = time.monotonic()
        if now < self._redis_from:
            return self._by_database(number, rate)
        try:
            wait = self._by_redis(number, rate)
        except (RedisError, OSError) as error:
            if now >= self._database_until:
                log.warning("rate counted by the database: %s", type(error).__name__)
            back = time.monotonic() + AWAY_SECONDS
            self._redis_from, self._database_until = back, back + BOTH_SECONDS
            # The database begins with a whole portion; waiting for it keeps the limit over the change.
            return number / rate
        if wait or now >= self._database_until:
            return wait
        wait = self._by_database(number, rate)
        if wait:
            self._give_back(number, rate)
        return wait

    def _by_redis(self, number: int, rate: float) -> float:
        burst = max(float(number), rate * BURST_SECONDS)
        client = self._dispatch.doorbell.client()
        return take(client, self._key, number=number, rate=rate, burst=burst)

    def _give_back(self, number: int, rate: float) -> None:
        try:
            self._by_redis(-number, rate)
        except (RedisError, OSError):
            self._redis_from = time.monotonic() + AWAY_SECONDS

    def _by_database(self, number: int, rate: float) -> float:
        return self._dispatch.database.run(
            lambda connection: store.take_rate(
                connection, self._row_id, number=number, rate=rate, burst=number
            )
        )


def shared_rate(dispatch: Dispatch, row_id: int) -> SharedRate:
    """The one of this process."""
    known: dict[int, SharedRate] = dispatch.cache.setdefault(_CACHE, {})
    if row_id not in known:
        known[row_id] = SharedRate(dispatch, row_id)
    return known[row_id]
