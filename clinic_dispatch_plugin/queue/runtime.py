"""Where the embedded server of a folder is met: every process finds it, and no stranger does.

The path depends on nothing but the data folder and the user: a worker started by a service manager,
a web process and a shell must all come to the same one. So neither ``XDG_RUNTIME_DIR`` (there in
one of the three, and gone at the last log-out) nor ``TMPDIR`` has a say.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from pathlib import Path

#: Short on purpose: the address of a Unix socket holds 107 bytes (104 on macOS), data folders are
#: often longer.
_BASE = Path("/tmp")
_SOCKET_NAME = "valkey.sock"
_INSTEAD = (
    "or set CLINIC_DISPATCH_REDIS_URL to a Redis or Valkey server, such as redis://localhost:6379/0"
)


class EmbeddedServerError(ConnectionError):
    """The embedded server cannot run or be met; the sentence says what to do.

    A ``ConnectionError``, so that whoever can do without the queue need not tell the two apart.
    """

    def __init__(self, trouble: str, *, remedy: str) -> None:
        super().__init__(f"{trouble}: {remedy}, {_INSTEAD}.")


def socket_path(data_dir: Path) -> Path:
    """The Unix socket of the server of ``data_dir``, the same in every process of this user.

    Touches nothing; symbolic links in ``data_dir`` are followed, so two names of one folder meet.
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(data_dir))).hexdigest()[:16]
    return _BASE / f"cd-{os.geteuid()}-{digest}" / _SOCKET_NAME


def redis_url(data_dir: Path) -> str:
    """The address of the server of ``data_dir`` for a Redis client, whether the server runs or not.

    Makes the private folder around the socket when it is missing: once it is ours nobody else can
    put a server of their own there, whose jobs our workers would run.

    :raises EmbeddedServerError: somebody else's folder, or one open to others, is in its place.
    """
    path = socket_path(data_dir)
    make_private(path.parent)
    return f"unix://{path}"


def make_private(folder: Path) -> None:
    """Make ``folder`` for this user alone, or make sure that it is.

    It is never removed again, not even by a clean stop: a free name in ``/tmp`` could be taken by
    others.

    :raises EmbeddedServerError: it cannot be made, or is a link, another user's or open to others.
    """
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise EmbeddedServerError(
            f"The folder {folder} for the embedded server's socket cannot be made ({error})",
            remedy=f"make {folder.parent} writable",
        ) from error
    flaw = _flaw(folder)
    if flaw is not None:
        raise EmbeddedServerError(
            f"The folder {folder} for the embedded server's socket {flaw}",
            remedy="look who made it and remove it",
        )


def answers(data_dir: Path, *, timeout: float = 1.0) -> bool:
    """Whether the server of ``data_dir`` answers a PING now.

    :param timeout: seconds for connecting and again for the answer; without a server it takes none.
    """
    path = socket_path(data_dir)
    try:
        if _flaw(path.parent) is not None:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            # An inline command: https://valkey.io/topics/protocol/, "Inline commands".
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _flaw(folder: Path) -> str | None:
    """What keeps ``folder`` from being private to this user.

    :raises OSError: it is not there.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        return "is a link or a file"
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return "is open to other users"
    return None
