"""Proving that we know the password, without saying it (RFC 8760, RFC 7616, and RFC 2617 for old exchanges)."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence

#: By the name in a challenge; the first one of a reply that we know is taken (RFC 8760 section 2.4).
_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
}
_PAIR = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


def challenge_in(values: Sequence[str]) -> dict[str, str] | None:
    """The first challenge among these headers that we can answer; None: none of them."""
    for value in values:
        scheme, _, rest = value.strip().partition(" ")
        pairs = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
            for name, quoted, plain in _PAIR.findall(rest)
        }
        known = pairs.get("algorithm", "MD5").upper() in _HASHES
        if scheme.lower() == "digest" and known and pairs.get("nonce"):
            return pairs
    return None


def answer_to(
    challenge: Mapping[str, str], *, method: str, uri: str, user: str, password: str
) -> str:
    """The value of Authorization or Proxy-Authorization."""
    algorithm = challenge.get("algorithm", "MD5")
    hashed = _HASHES[algorithm.upper()]
    realm, nonce = challenge.get("realm", ""), challenge["nonce"]
    ours = hashed(f"{user}:{realm}:{password}".encode())
    asked = hashed(f"{method}:{uri}".encode())
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": uri}
    more = [f"algorithm={algorithm}"] if "algorithm" in challenge else []
    if "auth" in re.split(r"[\s,]+", challenge.get("qop", "")):
        count, nonce_of_ours = "00000001", secrets.token_hex(8)
        said = hashed(f"{ours}:{nonce}:{count}:{nonce_of_ours}:auth:{asked}".encode())
        fields["cnonce"] = nonce_of_ours
        more += ["qop=auth", f"nc={count}"]
    else:
        said = hashed(f"{ours}:{nonce}:{asked}".encode())
    fields["response"] = said
    if "opaque" in challenge:
        fields["opaque"] = challenge["opaque"]
    return "Digest " + ", ".join([*(f'{name}="{_safe(fields[name])}"' for name in fields), *more])


def _safe(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", value)
