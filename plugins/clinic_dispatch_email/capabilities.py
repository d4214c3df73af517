"""What a server offers in its answer to EHLO."""

from __future__ import annotations

from dataclasses import dataclass

from clinic_dispatch_email.replies import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOffers:
    """The extensions we use; a server that only knows HELO offers none."""

    #: RFC 2920.
    pipelining: bool = False
    #: Whether the size may stand at MAIL (RFC 1870).
    size: bool = False
    #: Octets of the largest message; 0: unknown.
    size_limit: int = 0
    #: 8BITMIME (RFC 6152).
    eight_bit: bool = False
    #: RFC 6531.
    smtputf8: bool = False
    #: RFC 3461.
    dsn: bool = False
    #: RFC 3207.
    starttls: bool = False
    #: Ways to sign in, in upper case (RFC 4954).
    mechanisms: frozenset[str] = frozenset()


NOTHING = ServerOffers()


def read_offers(reply: Reply) -> ServerOffers:
    """Read the answer to EHLO; its first line is the server's name (RFC 5321 4.1.1.1)."""
    offers: dict[str, list[str]] = {}
    mechanisms: set[str] = set()
    for line in reply.lines[1:]:
        # "AUTH=PLAIN LOGIN" is how servers wrote it before RFC 4954, and some still do so beside it.
        words = line.decode("ascii", "replace").upper().replace("=", " ").split()
        if not words:
            continue
        offers[words[0]] = words[1:]
        if words[0] == "AUTH":
            mechanisms.update(words[1:])
    size = offers.get("SIZE", [])
    return ServerOffers(
        pipelining="PIPELINING" in offers,
        size="SIZE" in offers,
        size_limit=int(size[0]) if size and size[0].isdigit() and len(size[0]) < 19 else 0,
        eight_bit="8BITMIME" in offers,
        # Nobody may offer it without the other (RFC 6531 3.1); half an offer is none.
        smtputf8="SMTPUTF8" in offers and "8BITMIME" in offers,
        dsn="DSN" in offers,
        starttls="STARTTLS" in offers,
        mechanisms=frozenset(mechanisms),
    )
