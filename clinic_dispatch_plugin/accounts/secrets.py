"""Keeps what accounts sign in with unreadable in the database: the key stands in the configuration alone."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: Keys serve several ends; none of them says anything about another.
_USE = b"clinic-dispatch accounts"


class NoKey(Exception):
    """Nothing can be kept secret: ``CLINIC_DISPATCH_SECRET_KEYS`` is not set."""


class KeyLost(Exception):
    """It was encrypted with a key that is not there any more."""


def seal(keys: Sequence[str], text: str) -> str:
    """A text as the database keeps it, by the newest key.

    :raises NoKey: there is none.
    """
    return _by(tuple(keys)).encrypt(text.encode()).decode("ascii")


def unseal(keys: Sequence[str], sealed: str) -> str:
    """The text again, by whichever key it was sealed with.

    :raises KeyLost: by none of these.
    """
    try:
        return _by(tuple(keys)).decrypt(sealed.encode()).decode()
    except (NoKey, InvalidToken):
        raise KeyLost from None


def seal_anew(keys: Sequence[str], sealed: str) -> str:
    """The same text by the newest key.

    :raises KeyLost: none of these opens it.
    """
    return seal(keys, unseal(keys, sealed))


@lru_cache(maxsize=8)
def _by(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise NoKey
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(key: str) -> bytes:
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=_USE).derive(key.encode())
    return base64.urlsafe_b64encode(made)
