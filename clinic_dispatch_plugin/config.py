"""Every setting of the core: read once, checked at once, and refused with a sentence that says what to write."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from clinic_dispatch_plugin import config_values as values
from clinic_dispatch_plugin.config_values import ENCODE, PURPOSES, ConfigurationError, shown_url
from clinic_dispatch_plugin.quiet_hours import DEFAULT, QuietHours
from clinic_dispatch_plugin.retention import Retention, retention

__all__ = [
    "ENCODE",
    "OTHER_NAMES",
    "PREFIX",
    "PURPOSES",
    "ConfigurationError",
    "Settings",
    "known_names",
    "load_settings",
    "merged",
    "shown_url",
]

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

T = TypeVar("T")


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
    #: Hosts and networks of the clinic's own that accounts of the settings page may be at.
    private_gateways: tuple[str, ...] = ()
    #: When nothing goes out, by purpose and channel.
    quiet_hours: QuietHours = DEFAULT
    #: How our own workers write their logs: ``plain`` or ``json``.
    log: str = "plain"
    #: What a Prometheus elsewhere has to know; empty: only one on this machine reads the figures.
    metrics_token: str = field(default="", repr=False)
    #: How long what messages say and to whom they went is kept.
    retention_days: Retention = field(default_factory=Retention)
    #: The mailbox bounce mails come to; None: none is read.
    bounces_url: str | None = field(default=None, repr=False)

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
        database_url=read("DATABASE_URL", values.database_url, None),
        redis_url=read("REDIS_URL", values.redis_url, None),
        data_dir=read("DATA_DIR", values.path, Path(instance_path) / "clinic-dispatch"),
        lease_seconds=read("LEASE_SECONDS", values.lease, defaults.lease_seconds),
        quarantine_seconds=read("QUARANTINE_SECONDS", values.seconds, defaults.quarantine_seconds),
        secret_keys=read("SECRET_KEYS", values.secret_keys, ()),
        base_url=read("BASE_URL", values.base_url, None),
        queue_prefix=read("QUEUE_PREFIX", values.word, defaults.queue_prefix),
        url_prefix=read("URL_PREFIX", values.url_prefix, defaults.url_prefix),
        base_template=read("BASE_TEMPLATE", values.text, None),
        base_block=read("BASE_BLOCK", values.block, defaults.base_block),
        locale=read("LOCALE", values.language, defaults.locale),
        timezone=read("TIMEZONE", values.zone, defaults.timezone),
        region=read("REGION", values.region, defaults.region),
        unknown_consent=read("UNKNOWN_CONSENT", values.purposes, defaults.unknown_consent),
        blocked_plugins=read("BLOCKED_PLUGINS", values.words, defaults.blocked_plugins),
        retry_scale=read("RETRY_SCALE", values.factor, defaults.retry_scale),
        private_gateways=read("PRIVATE_GATEWAYS", values.places, ()),
        quiet_hours=read("QUIET_HOURS", values.quiet_hours, DEFAULT),
        log=read("LOG", values.log_kind, defaults.log),
        metrics_token=read("METRICS_TOKEN", values.metrics_token, ""),
        retention_days=read("RETENTION_DAYS", retention, defaults.retention_days),
        bounces_url=read("BOUNCES_URL", values.bounces_url, None),
    )


def lacking_for_links(settings: Settings) -> tuple[str, ...]:
    """What has to be set before messages can hold links to us."""
    needed = {"BASE_URL": settings.base_url, "SECRET_KEYS": settings.secret_keys}
    return tuple(PREFIX + name for name, value in needed.items() if not value)


def known_names() -> frozenset[str]:
    """The variables of the core; those of channels are the channels' own."""
    return frozenset(PREFIX + item.name.upper() for item in fields(Settings))
