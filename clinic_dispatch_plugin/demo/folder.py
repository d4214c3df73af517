"""The one folder this clinic lives in: private, with the keys it makes for itself on first use."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

#: Signs the clinic's own sessions; and what the dispatch plugin needs keys for.
SESSION_KEY = "session.key"
DISPATCH_KEY = "dispatch.key"


def open_folder(path: Path) -> Path:
    """Make the folder where it is not there yet, for its owner alone.

    :raises OSError: it cannot be made, or belongs to somebody else.
    """
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def key(folder: Path, name: str) -> str:
    """A secret of 64 characters, made by whichever process asks first."""
    place = folder / name
    if not place.exists():
        _make(place)
    return place.read_text(encoding="ascii").strip()


def _make(place: Path) -> None:
    # Written whole beside its place, then linked: a second process finds nothing, or all of it.
    draft = place.with_name(f"{place.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48))
    with contextlib.suppress(FileExistsError):
        os.link(draft, place)
    draft.unlink()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process of this folder is in here; a dead one lets go by itself."""
    descriptor = os.open(folder / "seed.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
