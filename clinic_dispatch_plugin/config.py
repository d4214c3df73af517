"""Every setting of the core: read once, checked at once, and refused with a sentence that says what to write."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

import click

PREFIX = "CLINIC_DISPATCH_"
#: Variables that are no settings: what tests and workers tell their own processes.
OTHER_NAMES = frozenset(
    PREFIX + name
    for name in (
        "FAIL_AT",
        "FAIL_SLEEP",
        "TESTING_FAULTS",
        "WORKER_PIDS",
        "SCREENSHOTS",
        "TEST_ALL",
    )
)
#: What to do about a password that ends a URL's authority too early.
ENCODE = "write / ? # @ : [ ] and % inside a user name or password as %2F %3F %23 %40 %3A %5B %5D and %25."
_AUTHORITY_END = re.compile("[/?#]")
#: A host with a port or without; an address in brackets may be cut off.
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.%]*\]?(?::[0-9]+)?|[^:\[\]]+:[0-9]+|[^:\[\]]*)")
_SECRET_OPTION = re.compile("(?:pass|pwd|secret|token|key|cred|auth)", re.IGNORECASE)
PURPOSES = ("service", "reminder", "results", "promotion", "greeting")

T = TypeVar("T")


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
    if not _PLACE.fullmatch(place) or "@" in after or "#" in after or _SECRET_OPTION.search(query):
        return None
    if ":" in path and not scheme.startswith("sqlite"):
        return None
    return f"{scheme}{slashes}{'***@' if login or at else ''}{place}{after}"


def merged(config: Mapping[str, Any]) -> dict[str, Any]:
    """The environment's ``CLINIC_DISPATCH_*`` with the host's own settings over it."""
    found: dict[str, Any] = {k: v for k, v in os.environ.items() if k.startswith(PREFIX)}
    found.update({k: v for k, v in config.items() if k.startswith(PREFIX) and v is not None})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The core's settings. Channels read their own (``CLINIC_DISPATCH_<KEY>_*``) themselves."""

    #: SQLAlchemy URL of a database of our own; None: the host's.
    database_url: str | None = field(default=None, repr=False)
    #: None: the embedded server in the data folder.
    redis_url: str | None = field(default=None, repr=False)
    data_dir: Path = Path("clinic-dispatch-data")
    #: How long a worker may be silent before its messages are taken from it, in seconds.
    lease_seconds: float = 120.0
    #: How long a lost worker's messages in doubt stay untouched, in seconds.
    quarantine_seconds: float = 900.0
    #: Newest first: encryption, unsubscribe links, hashes, our own CSRF tokens.
    secret_keys: tuple[str, ...] = field(default=(), repr=False)
    #: Where our pages stand for a patient's browser; None: messages hold no links to us.
    base_url: str | None = None
    queue_prefix: str = "clinic-dispatch"
    url_prefix: str = "/dispatch"
    base_template: str | None = None
    base_block: str = "content"
    #: The language of pages when neither host nor browser names one.
    locale: str = "en"
    timezone: ZoneInfo = ZoneInfo("UTC")
    #: Country for numbers without a country code (ISO 3166).
    region: str = "DE"
    #: Purposes that go to recipients of unknown consent.
    unknown_consent: frozenset[str] = frozenset({"service", "reminder", "results"})
    blocked_plugins: frozenset[str] = frozenset()
    #: All waiting times of the retry policies are multiplied by this; 1 but in demonstrations.
    retry_scale: float = 1.0

    @property
    def spool_dir(self) -> Path:
        """Where workers keep their journals; a local file system."""
        return self.data_dir / "spool"


def load_settings(config: Mapping[str, Any], *, instance_path: str) -> Settings:
    """Read and check the core's settings.

    :param config: the host's ``app.config``; what it lacks is taken from the environment.
    :raises ConfigurationError: the first wrong value.
    """
    found = merged(config)
    defaults = Settings()

    def read(key: str, convert: Callable[[str, Any], T], default: T) -> T:
        name = PREFIX + key
        value = found.get(name)
        return default if value is None or value == "" else convert(name, value)

    return Settings(
        database_url=read("DATABASE_URL", _database_url, None),
        redis_url=read("REDIS_URL", _redis_url, None),
        data_dir=read("DATA_DIR", _path, Path(instance_path) / "clinic-dispatch"),
        lease_seconds=read("LEASE_SECONDS", _seconds, defaults.lease_seconds),
        quarantine_seconds=read("QUARANTINE_SECONDS", _seconds, defaults.quarantine_seconds),
        secret_keys=read("SECRET_KEYS", _secret_keys, ()),
        base_url=read("BASE_URL", _base_url, None),
        queue_prefix=read("QUEUE_PREFIX", _word, defaults.queue_prefix),
        url_prefix=read("URL_PREFIX", _url_prefix, defaults.url_prefix),
        base_template=read("BASE_TEMPLATE", _text, None),
        base_block=read("BASE_BLOCK", _block, defaults.base_block),
        locale=read("LOCALE", _language, defaults.locale),
        timezone=read("TIMEZONE", _zone, defaults.timezone),
        region=read("REGION", _region, defaults.region),
        unknown_consent=read("UNKNOWN_CONSENT", _purposes, defaults.unknown_consent),
        blocked_plugins=read("BLOCKED_PLUGINS", _words, defaults.blocked_plugins),
        retry_scale=read("RETRY_SCALE", _factor, defaults.retry_scale),
    )


def lacking_for_links(settings: Settings) -> tuple[str, ...]:
    """What has to be set before messages can hold links to us."""
    needed = {"BASE_URL": settings.base_url, "SECRET_KEYS": settings.secret_keys}
    return tuple(PREFIX + name for name, value in needed.items() if not value)


def known_names() -> frozenset[str]:
    """The variables of the core; those of channels are the channels' own."""
    return frozenset(PREFIX + item.name.upper() for item in fields(Settings))


def _text(name: str, value: Any) -> str:
    return str(value).strip()


def _path(name: str, value: Any) -> Path:
    path = Path(str(value)).expanduser().absolute()
    if "\0" in str(value) or (path.exists() and not path.is_dir()):
        advice = "this is no folder; name one, such as /var/lib/clinic-dispatch."
        raise ConfigurationError(name, value, advice)
    return path


def _seconds(name: str, value: Any) -> float:
    return _above_0(name, value, "give a number of seconds above 0, such as 10.")


def _factor(name: str, value: Any) -> float:
    return _above_0(name, value, "give a number above 0, such as 1.")


def _above_0(name: str, value: Any, advice: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < 10_000_000:
        raise ConfigurationError(name, value, advice)
    return number


def _database_url(name: str, value: Any) -> str:
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


def _redis_url(name: str, value: Any) -> str:
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


def _base_url(name: str, value: Any) -> str:
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


def _word(name: str, value: Any) -> str:
    text = str(value)
    if not re.fullmatch("[A-Za-z0-9_-]{1,40}", text):
        raise ConfigurationError(name, value, "use at most 40 letters, digits, - and _.")
    return text


def _block(name: str, value: Any) -> str:
    text = str(value).strip()
    if not text.isidentifier():
        advice = "write the name of a block of your base template, such as content."
        raise ConfigurationError(name, value, advice)
    return text


def _words(name: str, value: Any) -> frozenset[str]:
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


def _secret_keys(name: str, value: Any) -> tuple[str, ...]:
    advice = (
        "give one or more keys of at least 32 characters, newest first, separated by commas; "
        'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))".'
    )
    keys = _parts(name, value, advice, secret=True)
    if not keys or any(len(key) < 32 for key in keys):
        raise ConfigurationError(name, value, advice, secret=True)
    return keys


def _url_prefix(name: str, value: Any) -> str:
    text = str(value).rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        advice = "begin with a slash and use letters, digits and . _ ~ -, such as /dispatch."
        raise ConfigurationError(name, value, advice)
    return text


def _language(name: str, value: Any) -> str:
    text = str(value).replace("_", "-").split("-")[0].lower()
    if text not in {"de", "en", "ru"}:
        raise ConfigurationError(name, value, "write de, en or ru.")
    return text


def _zone(name: str, value: Any) -> ZoneInfo:
    try:
        return value if isinstance(value, ZoneInfo) else ZoneInfo(str(value))
    except (OSError, ValueError, LookupError):
        raise ConfigurationError(name, value, "write a time zone such as Europe/Berlin.") from None


def _region(name: str, value: Any) -> str:
    text = str(value).upper()
    if not re.fullmatch("[A-Z]{2}", text):
        raise ConfigurationError(name, value, "write a country's two letters, such as DE.")
    return text


def _purposes(name: str, value: Any) -> frozenset[str]:
    words = _words(name, value)
    if words == {"none"}:  # an environment variable cannot hold an empty list
        return frozenset()
    if wrong := words - set(PURPOSES):
        advice = f"{sorted(wrong)[0]!r} is no purpose; use {', '.join(PURPOSES)} or none."
        raise ConfigurationError(name, value, advice)
    return words
