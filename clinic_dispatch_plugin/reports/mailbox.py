"""The mailbox bounce mails come to: IMAP with TLS, or a Maildir; read mails are marked, never deleted."""

from __future__ import annotations

import contextlib
import imaplib
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports.rules import MOST_BYTES
from clinic_dispatch_plugin.reports.service import look_again, take

log = logging.getLogger(__name__)

IMAPS_PORT = 993
#: Seconds a server may take for one answer.
TIMEOUT = 20.0
#: Mails one round reads; what is left comes in the next.
PORTION = 500

Handler = Callable[[bytes], None]


@dataclass(slots=True, kw_only=True)
class Fetched:
    """What one round brought."""

    read: int = 0
    new: int = 0
    tied: int = 0


class MailboxProblem(Exception):
    """The mailbox cannot be read; the words name no secret."""


def fetch(dispatch: Dispatch) -> Fetched:
    """Read what is new in the configured mailbox, and look again at what came too early.

    :raises MailboxProblem: there is no mailbox, or it cannot be read.
    """
    address = dispatch.settings.bounces_url
    if address is None:
        raise MailboxProblem("no mailbox is configured: set CLINIC_DISPATCH_BOUNCES_URL.")
    done = Fetched()

    def handle(raw: bytes) -> None:
        result = take(dispatch, raw, source="mailbox", by="")
        done.read += 1
        done.new += result.new
        done.tied += result.new and result.message_id is not None

    read = read_maildir if address.startswith("maildir:") else read_imap
    read(address, handle)
    look_again(dispatch)
    return done


def fetch_quietly(dispatch: Dispatch) -> None:
    """The same for a round of the worker's: a failure is logged, the next round tries again."""
    if dispatch.settings.bounces_url is None:
        return
    try:
        done = fetch(dispatch)
    except MailboxProblem as error:
        log.warning("bounce mails could not be fetched: %s", error)
    except Exception as error:  # its words may hold a patient's data
        log.error("bounce mails could not be fetched: %s", places(error))
    else:
        if done.new:
            log.info("%s new bounce mails, %s of them tied to a message", done.new, done.tied)


def read_maildir(address: str, handle: Handler) -> None:
    """Hand over each mail of ``new`` and move it to ``cur`` as seen.

    :raises MailboxProblem: it is no Maildir, or may not be read.
    """
    folder = Path(unquote(urlsplit(address).path))
    new, seen = folder / "new", folder / "cur"
    if not new.is_dir() or not seen.is_dir():
        raise MailboxProblem(f"{folder} is no Maildir: it needs the folders new and cur.")
    try:
        for path in sorted(new.iterdir())[:PORTION]:
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                with path.open("rb") as stream:
                    raw = stream.read(MOST_BYTES)
                handle(raw)
                path.rename(seen / f"{path.name.partition(':')[0]}:2,S")
    except OSError as error:
        raise MailboxProblem(f"{folder}: {(error.strerror or 'unreadable').lower()}.") from None


def read_imap(address: str, handle: Handler) -> None:
    """Hand over each unseen mail of the folder and mark it as seen.

    :raises MailboxProblem: the server cannot be reached, or refuses.
    """
    parts = urlsplit(address)
    where = f"{parts.hostname}:{parts.port or IMAPS_PORT}"
    try:
        with _signed_in(address) as server:
            for uid in _unseen(server)[:PORTION]:
                raw = _body(server, uid)
                if raw is not None:
                    handle(raw)
                    server.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)")
    except imaplib.IMAP4.error as error:
        # A server may repeat the command it did not understand, and with it the password.
        said = "" if "LOGIN" in str(error).upper() else f" ({_words(error)})"
        raise MailboxProblem(
            f"{where} refused{said}: check the user name, the password and the folder."
        ) from None
    except (OSError, EOFError) as error:
        raise MailboxProblem(f"{where} cannot be reached ({type(error).__name__}).") from None


def _words(error: imaplib.IMAP4.error) -> str:
    return re.sub(r"[^\x20-\x7e]", " ", str(error))[:120]


@contextlib.contextmanager
def _signed_in(address: str) -> Iterator[imaplib.IMAP4_SSL]:
    parts = urlsplit(address)
    certificates = parse_qs(parts.query).get("ca_file", [None])[0]
    context = ssl.create_default_context(cafile=certificates)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    server = imaplib.IMAP4_SSL(
        parts.hostname or "",
        parts.port or IMAPS_PORT,
        ssl_context=context,
        timeout=TIMEOUT,
    )
    try:
        server.login(unquote(parts.username or ""), unquote(parts.password or ""))
        folder = unquote(parts.path.strip("/")) or "INBOX"
        quoted = folder.replace("\\", "\\\\").replace('"', '\\"')
        kind, _ = server.select(f'"{quoted}"')
        if kind != "OK":
            raise imaplib.IMAP4.error(f"the folder {folder[:60]!r} cannot be opened")
        yield server
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError, EOFError):
            server.logout()


def _unseen(server: imaplib.IMAP4_SSL) -> list[str]:
    _, found = server.uid("SEARCH", "UNSEEN")
    text = b" ".join(part for part in found if isinstance(part, bytes))
    return [uid for uid in text.decode("ascii", "replace").split() if uid.isdigit()]


def _body(server: imaplib.IMAP4_SSL, uid: str) -> bytes | None:
    """The beginning of a mail, without marking it: that comes after it is kept."""
    _, found = server.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MOST_BYTES}>)")
    return next((part[1] for part in found if isinstance(part, tuple)), None)
