"""What our own processes write to their logs: plain lines, or JSON with the ids of what they are at."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from clinic_dispatch_plugin.queue.context import places

PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"
#: Ids a line may carry, in their order.
IDS = ("run", "mailing", "message", "attempt", "account")

#: What this process is at: one run at a time.
_about: dict[str, int] = {}


def about(**ids: int) -> None:
    """From now on lines carry these ids; 0: no more."""
    for name, value in ids.items():
        if value:
            _about[name] = value
        else:
            _about.pop(name, None)


class JsonLines(logging.Formatter):
    """One object a line; of an error its kind and place, never its words."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        for name in IDS:
            value = record.__dict__.get(f"{name}_id", _about.get(name))
            if isinstance(value, int):
                line[name] = value
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["error"] = places(error)
        return json.dumps(line, ensure_ascii=False)


def set_up(kind: str) -> None:
    """Write to standard error, as ``CLINIC_DISPATCH_LOG`` says; a host that set its own up keeps it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if kind == "json" else logging.Formatter(PLAIN))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
