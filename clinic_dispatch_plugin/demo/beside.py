"""What a running demo leaves in its folder for the commands that are typed beside it: where its relay is."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from clinic_dispatch_plugin.demo import gateways

RELAY = "CLINIC_DISPATCH_EMAIL_URL"
#: What the demo's own processes have in their environment and another shell lacks.
NAMES = (
    RELAY,
    "CLINIC_DISPATCH_EMAIL_FROM",
    "CLINIC_DISPATCH_BASE_URL",
    "CLINIC_DISPATCH_RETRY_SCALE",
    *gateways.NAMES,
)
_FILE = "running.json"
#: Seconds the relay gets to take a connection; it is on this machine.
_PATIENCE = 1.0


@contextmanager
def told(data_dir: Path) -> Iterator[None]:
    """Say it as long as this lasts; whoever is killed leaves the file, but no relay that answers."""
    place = data_dir / _FILE
    draft = place.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({name: os.environ[name] for name in NAMES}, file)
    draft.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def settings_of(data_dir: Path) -> Mapping[str, str]:
    """The settings of the demo that runs on this folder; none where its relay does not answer."""
    try:
        found = json.loads((data_dir / _FILE).read_text(encoding="utf-8"))
        relay = urlsplit(found[RELAY])
        socket.create_connection((relay.hostname, relay.port or 25), timeout=_PATIENCE).close()
        return {name: str(found[name]) for name in NAMES}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
