"""A rate that all workers on all machines share, counted in Redis by its own clock."""

from __future__ import annotations

from redis import Redis

#: The generic cell rate algorithm: one number, the time at which everything granted so far will have been used.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local number, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used_until = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local free_at = used_until + (number - burst) / rate
if number > 0 and free_at > now then
  return string.format('%.6f', free_at - now)
end
redis.call('SET', KEYS[1], string.format('%.6f', used_until + number / rate), 'EX', 3600)
return '0'
"""


def take(client: Redis, key: str, *, number: int, rate: float, burst: float) -> float:
    """Take so many messages' worth of a rate; 0: taken, else seconds until it may be.

    :param number: negative: give back what was not used.
    :param rate: messages a second.
    :param burst: so many may be made up for at once when nobody took any for a while.
    :raises RedisError: it cannot be counted there.
    :raises OSError: likewise.
    """
    return float(client.eval(_TAKE, 1, key, str(number), repr(rate), repr(burst)))
