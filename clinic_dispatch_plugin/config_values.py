"""What each setting may hold: read from text or from the host's own values, refused with what to write instead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

import click

from clinic_dispatch_plugin.quiet_hours import DEFAULT, Hours, QuietHours, parts_of

#: What to do about a password that ends a URL's authority too early.
ENCODE = "write / ? # @ : [ ] and % inside a user name or password as %2F %3F %23 %40 %3A %5B %5D and %25."
_AUTHORITY_END = re.compile("[/?#]")
#: A host with a port or without; an address in brackets may be cut off.
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.%]*\]?(?::[0-9]+)?|[^:\[\]]+:[0-9]+|[^:\[\]]*)")
_SECRET_OPTION = re.compile(r"(?i)pass|pwd|secret|token|key|cred|auth|callback.*(/|%2f)[\w-]{43}")
_TORN = re.compile("[@#]|%40")
PURPOSES = ("service", "reminder", "results", "promotion", "greeting")
#: Purposes that may go to whom nobody asked.
_UNASKED = tuple(purpose for purpose in PURPOSES if purpose != "promotion")


class ConfigurationError(click.ClickException):
    """A setting is wrong: names the variable, shows its value unless it is secret, says what to write instead.

    A command ends with this sentence alone, without a traceback.
    """

    def __init__(self, name: str, value: object, advice: str, *, secret: bool = False) -> None:
        shown = "set to a value that is not shown" if secret else f"{str(value)[:200]!r}"
        if value is None or value == "":
            shown = "not set"
        super().__init__(f"{name} is {shown}: {advice}")
        self.name = name
        #: What to write instead, without the value.
        self.advice = advice

    @classmethod
    def of_url(cls, name: str, url: object, advice: str) -> Self:
        """The same for a URL, which may hold a password."""
        shown = shown_url(str(url))
        return cls(name, url if shown is None else shown, advice, secret=shown is None)


def shown_url(url: str) -> str | None:
    """A URL without user name and password; None: a secret may stand anywhere in it.

    A colon that begins no port begins a password without its ``@``, or one with a character that cuts it off.
    """
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, rest = "", url
        if not re.search("[./:]", url):
            return None  # a single word: no part of an address, and perhaps the password alone
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    login, at, place = authority.rpartition("@")
    path, _, query = after.partition("?")
    if not _PLACE.fullmatch(place) or _TORN.search(after) or _SECRET_OPTION.search(query):
        return None
    if ":" in path and not scheme.startswith("sqlite"):
        return None
    return f"{scheme}{slashes}{'***@' if login or at else ''}{place}{after}"


def text(name: str, value: Any) -> str:
    """A text as it is."""
    return str(value).strip()


def path(name: str, value: Any) -> Path:
    """A folder, absolute."""
    path = Path(str(value)).expanduser().absolute()
    if "\0" in str(value) or (path.exists() and not path.is_dir()):
        advice = "this is no folder; name one, such as /var/lib/clinic-dispatch."
        raise ConfigurationError(name, value, advice)
    return path


def lease(name: str, value: Any) -> float:
    """Within less, no message could be handed over before the lease is over."""
    number = seconds(name, value)
    if number < 1:
        raise ConfigurationError(name, value, "give a number of seconds, at least 1, such as 120.")
    return number


def seconds(name: str, value: Any) -> float:
    """Seconds, above 0."""
    return _above_0(name, value, "give a number of seconds above 0, such as 10.")


def factor(name: str, value: Any) -> float:
    """A number above 0."""
    return _above_0(name, value, "give a number above 0, such as 1.")


def _above_0(name: str, value: Any, advice: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < 10_000_000:
        raise ConfigurationError(name, value, advice)
    return number


def database_url(name: str, value: Any) -> str:
    """A database that SQLAlchemy and an installed driver can open."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    examples = "sqlite:////srv/clinic/dispatch.db or postgresql+psycopg://user:password@host/name"
    try:
        url = make_url(str(value))
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        advice = f"write a database URL such as {examples}."
        raise ConfigurationError.of_url(name, value, advice) from None
    if "@" in (url.host or ""):
        raise ConfigurationError.of_url(name, value, ENCODE)
    if backend not in {"sqlite", "postgresql", "mysql", "mariadb"}:
        advice = (
            f"{backend} is not supported; use SQLite, PostgreSQL or MariaDB, such as {examples}."
        )
        raise ConfigurationError.of_url(name, value, advice)
    if backend == "postgresql" and url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if backend in {"mysql", "mariadb"} and "+" not in url.drivername:
        url = url.set(drivername=f"{backend}+pymysql")
    _need_driver(name, value, url)
    return url.render_as_string(hide_password=False)


def _need_driver(name: str, value: Any, url: Any) -> None:
    """A driver that is not installed is found here and not by the first statement."""
    from sqlalchemy.exc import ArgumentError

    extra = "postgresql" if url.get_backend_name() == "postgresql" else "mariadb"
    try:
        url.get_dialect().import_dbapi()
    except (ArgumentError, ImportError):
        advice = (
            f"the driver of {url.drivername}:// is not installed; run: "
            f"pip install 'clinic-dispatch-plugin[{extra}]', or install that driver."
        )
        raise ConfigurationError.of_url(name, value, advice) from None


def _split(value: Any) -> SplitResult | None:
    """A URL's parts; None where it is none. Blanks and control characters have no place in one."""
    text = str(value)
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading it is what finds a wrong one
    except ValueError:
        return None
    return parts


def _cut_off(url: str) -> bool:
    """Whether a user name or password holds a character that ends the authority before its ``@``."""
    rest = url.partition("://")[2]
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    return "@" not in authority and "@" in rest[len(authority) :]


def redis_url(name: str, value: Any) -> str:
    """A server of the Redis protocol."""
    parts = _split(value)
    place = "" if parts is None else parts.path.strip("/")
    by_network = parts is not None and parts.scheme in {"redis", "rediss"}
    wrong_number = by_network and place and not re.fullmatch("[0-9]{1,5}", place)
    no_socket = parts is not None and parts.scheme == "unix" and not place
    if (
        parts is None
        or parts.scheme not in {"redis", "rediss", "unix"}
        or wrong_number
        or no_socket
        or (by_network and _cut_off(str(value)))
    ):
        advice = (
            "write redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/socket, "
            "or leave it unset for the embedded server."
        )
        if _cut_off(str(value)):
            advice = ENCODE
        raise ConfigurationError.of_url(name, value, advice)
    return str(value)


def bounces_url(name: str, value: Any) -> str:
    """A mailbox that bounce mails come to."""
    parts = _split(value)
    scheme = parts.scheme if parts else ""
    advice = "write imaps://user:password@host/INBOX or maildir:///path/to/Maildir."
    fits = False
    if parts is not None and scheme == "maildir":
        fits = not parts.netloc and len(parts.path) > 1 and not parts.query
    elif parts is not None and scheme == "imaps":
        fits = bool(parts.hostname and parts.username and parts.password)
        fits = fits and parts.port != 0 and str(value).isascii() and not parts.fragment
        fits = fits and (not parts.query or parts.query.startswith("ca_file=/"))
        advice = (
            "write imaps://user:password@host/INBOX, with / ? # @ and : inside a user name or "
            "password as %2F %3F %23 %40 and %3A; ?ca_file=/path names certificates of your own."
        )
    elif scheme == "imap":
        advice = f"the password would travel unprotected; {advice}"
    if not fits:
        raise ConfigurationError(name, value, advice, secret=True)
    return str(value)


def base_url(name: str, value: Any) -> str:
    """Where patients reach the application, without a path of ours."""
    parts = _split(value)
    if (
        parts is None
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        advice = "write an address such as https://clinic.example."
        raise ConfigurationError.of_url(name, value, advice)
    return str(value).rstrip("/")


def word(name: str, value: Any) -> str:
    """A prefix for queues."""
    text = str(value)
    if not re.fullmatch("[A-Za-z0-9_-]{1,40}", text):
        raise ConfigurationError(name, value, "use at most 40 letters, digits, - and _.")
    return text


def block(name: str, value: Any) -> str:
    """A block of the base template."""
    text = str(value).strip()
    if not text.isidentifier():
        advice = "write the name of a block of your base template, such as content."
        raise ConfigurationError(name, value, advice)
    return text


def words(name: str, value: Any) -> frozenset[str]:
    """Several names."""
    return frozenset(_parts(name, value, "write names separated by commas."))


def _parts(name: str, value: Any, advice: str, *, secret: bool = False) -> tuple[str, ...]:
    """Several values: separated by commas, or a list from the host's own configuration."""
    if isinstance(value, str):
        found: Iterable[object] = value.split(",")
    elif isinstance(value, list | tuple | set | frozenset):
        found = value
    else:
        raise ConfigurationError(name, value, advice, secret=secret)
    return tuple(str(part).strip() for part in found if str(part).strip())


def places(name: str, value: Any) -> tuple[str, ...]:
    """Hosts, addresses and networks of the clinic's own."""
    advice = (
        "write hosts, addresses or networks separated by commas, such as 10.0.5.0/24, sms.local."
    )
    found = _parts(name, value, advice)
    for each in found:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            if not re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9.-]{0,252}", each):
                raise ConfigurationError(name, value, advice) from None
    return found


def secret_keys(name: str, value: Any) -> tuple[str, ...]:
    """Keys, the newest first."""
    advice = (
        "give one or more keys of at least 32 characters, newest first, separated by commas; "
        'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))".'
    )
    keys = _parts(name, value, advice, secret=True)
    if not keys or any(len(key) < 32 for key in keys):
        raise ConfigurationError(name, value, advice, secret=True)
    return keys


def log_kind(name: str, value: Any) -> str:
    """How logs are written."""
    if value in ("plain", "json"):
        return str(value)
    raise ConfigurationError(name, value, "write plain or json.")


def metrics_token(name: str, value: Any) -> str:
    """A word nobody guesses."""
    if re.fullmatch("[!-~]{16,}", str(value)):
        return str(value)
    raise ConfigurationError(name, value, "give 16 ASCII characters or more.", secret=True)


def url_prefix(name: str, value: Any) -> str:
    """Where our pages stand."""
    text = str(value).rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        advice = "begin with a slash and use letters, digits and . _ ~ -, such as /dispatch."
        raise ConfigurationError(name, value, advice)
    return text


def language(name: str, value: Any) -> str:
    """A language of ours."""
    text = str(value).replace("_", "-").split("-")[0].lower()
    if text not in {"de", "en", "ru"}:
        raise ConfigurationError(name, value, "write de, en or ru.")
    return text


def zone(name: str, value: Any) -> ZoneInfo:
    """A time zone."""
    try:
        return value if isinstance(value, ZoneInfo) else ZoneInfo(str(value))
    except (OSError, ValueError, LookupError):
        raise ConfigurationError(name, value, "write a time zone such as Europe/Berlin.") from None


def region(name: str, value: Any) -> str:
    """A country."""
    text = str(value).upper()
    if not re.fullmatch("[A-Z]{2}", text):
        raise ConfigurationError(name, value, "write a country's two letters, such as DE.")
    return text


def purposes(name: str, value: Any) -> frozenset[str]:
    """Purposes whose unknown consent counts as yes."""
    found = words(name, value)
    if found == {"none"}:  # an environment variable cannot hold an empty list
        return frozenset()
    if wrong := found - set(PURPOSES):
        advice = f"{sorted(wrong)[0]!r} is no purpose; use {', '.join(_UNASKED)} or none."
        raise ConfigurationError(name, value, advice)
    if "promotion" in found:
        advice = (
            "promotions go to nobody who did not agree; leave promotion out, "
            f"and use {', '.join(_UNASKED)} or none."
        )
        raise ConfigurationError(name, value, advice)
    return found


_SPAN = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]?\d|2[0-3]):([0-5]\d)")
_QUIET = (
    "write purposes, channels or both with their hours, such as promotion=20:00-08:00, "
    "voice=19:00-09:00, results.sms=none; or none alone, where any hour will do."
)


def quiet_hours(name: str, value: Any) -> QuietHours:
    """Hours in which nothing goes out; what is not named stays as it is shipped."""
    if isinstance(value, Mapping):
        value = ", ".join(
            f"{key}={'none' if each is None else each}" for key, each in value.items()
        )
    if not isinstance(value, str):
        raise ConfigurationError(name, value, _QUIET)
    if value.strip() == "none":
        return QuietHours()
    pairs = list(parts_of(value))
    for key, _ in pairs:
        purpose, dot, channel = key.partition(".")
        if not re.fullmatch("[a-z0-9_]+", purpose) or (dot and not _both(purpose, channel)):
            raise ConfigurationError(name, value, f"{key!r} is no purpose or channel; {_QUIET}")
    return DEFAULT.changed({key: _hours(name, value, hours) for key, hours in pairs})


def _both(purpose: str, channel: str) -> bool:
    return purpose in PURPOSES and bool(re.fullmatch("[a-z0-9_]+", channel))


def _hours(name: str, whole: str, text: str) -> Hours | None:
    if text == "none":
        return None
    found = _SPAN.fullmatch(text)
    if found is None or found.group(1, 2) == found.group(3, 4):
        raise ConfigurationError(name, whole, f"{text!r} are no hours; {_QUIET}")
    begin_hour, begin, end_hour, end = (int(part) for part in found.groups())
    return Hours(begin=time(begin_hour, begin), end=time(end_hour, end))
