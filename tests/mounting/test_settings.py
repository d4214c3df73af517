"""A wrong value stops the start with a sentence: which variable, which value unless it is secret, what to write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_plugin.config import ConfigurationError, Settings, load_settings
from tests.cli.programs import FLASK, Shell
from tests.clinic.full import EMAIL
from tests.clinic.host import make_clinic

SECRET = "canary-4711"

#: Variable without its prefix, a wrong value, what the advice names.
WRONG: list[tuple[str, Any, str]] = [
    ("REDIS_URL", "localhost:6379", "redis://host:6379/0"),
    ("REDIS_URL", "redis://host:6379/one", "redis://host:6379/0"),
    ("REDIS_URL", "redis://[::1", "redis://host:6379/0"),
    ("REDIS_URL", "unix://", "unix:///path/to/socket"),
    ("DATA_DIR", "/dev/null", "name one, such as"),
    ("DATA_DIR", "a\0b", "name one, such as"),
    ("LEASE_SECONDS", "ten", "such as 10"),
    ("LEASE_SECONDS", "-1", "above 0"),
    ("LEASE_SECONDS", "nan", "above 0"),
    ("LEASE_SECONDS", "inf", "above 0"),
    ("LEASE_SECONDS", [1], "above 0"),
    ("QUARANTINE_SECONDS", "0", "above 0"),
    ("BASE_URL", "clinic.example", "https://clinic.example"),
    ("BASE_URL", "ftp://clinic.example", "https://clinic.example"),
    ("BASE_URL", "https://clinic.example/?a=b", "https://clinic.example"),
    ("BASE_URL", "https://[", "https://clinic.example"),
    ("BASE_URL", "https://clinic .example", "https://clinic.example"),
    ("QUEUE_PREFIX", "a b", "letters, digits"),
    ("QUEUE_PREFIX", "x" * 41, "at most 40"),
    ("URL_PREFIX", "dispatch", "such as /dispatch"),
    ("URL_PREFIX", "/", "such as /dispatch"),
    ("URL_PREFIX", "/<int:x>", "such as /dispatch"),
    ("BASE_BLOCK", "content %} {{ x", "such as content"),
    ("LOCALE", "fr", "de, en or ru"),
    ("TIMEZONE", "Mars/Olympus", "Europe/Berlin"),
    ("TIMEZONE", "../../etc/passwd", "Europe/Berlin"),
    ("REGION", "Germany", "such as DE"),
    ("UNKNOWN_CONSENT", "service,fun", "service, reminder, results, greeting or none"),
    ("UNKNOWN_CONSENT", "service,promotion", "promotions go to nobody who did not agree"),
    ("LEASE_SECONDS", "0.001", "at least 1, such as 120"),
    ("BLOCKED_PLUGINS", 7, "separated by commas"),
    ("RETRY_SCALE", "fast", "such as 1"),
]
#: The same for values that may hold a password.
WRONG_AND_SECRET: list[tuple[str, Any, str]] = [
    ("DATABASE_URL", f"{SECRET}", "postgresql+psycopg://user:password@host/name"),
    ("DATABASE_URL", f"oracle://u:{SECRET}@host/x", "oracle is not supported"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@host:port/x", "postgresql+psycopg://"),
    ("DATABASE_URL", f"postgresql+nodriver://u:{SECRET}@host/x", "[postgresql]"),
    ("DATABASE_URL", f"mysql+nodriver://u:{SECRET}@host/x", "[mariadb]"),
    ("REDIS_URL", f"http://u:{SECRET}@host", "redis://host:6379/0"),
    ("DATABASE_URL", f"postgresql://u:pa@{SECRET}@host/x", "%40"),
    ("DATABASE_URL", f"oracle://host/x?password={SECRET}", "oracle is not supported"),
    ("REDIS_URL", f"redis://:{SECRET}", "redis://host:6379/0"),
    ("REDIS_URL", f"redis://host:{SECRET}", "redis://host:6379/0"),
    ("BASE_URL", f"https://clinic.example\r\nX: {SECRET}", "https://clinic.example"),
    ("REDIS_URL", f"redis://:12#{SECRET}@host", "%23"),
    ("REDIS_URL", f"redis://:pa/{SECRET}@host/0", "%2F"),
    ("BASE_URL", f"https://u:{SECRET}@clinic.example", "https://clinic.example"),
    ("BOUNCES_URL", SECRET, "imaps://user:password@host/INBOX"),
    ("BOUNCES_URL", f"imap://u:{SECRET}@host/INBOX", "would travel unprotected"),
    ("BOUNCES_URL", f"imaps://{SECRET}@host/INBOX", "imaps://user:password@host/INBOX"),
    ("BOUNCES_URL", f"imaps://u:{SECRET}@host:port/INBOX", "imaps://user:password@host/INBOX"),
    ("BOUNCES_URL", f"imaps://u:{SECRET}@host/INBOX?tls=no", "?ca_file=/path"),
    ("BOUNCES_URL", f"maildir://{SECRET}/path", "maildir:///path/to/Maildir"),
    ("SECRET_KEYS", SECRET, "at least 32 characters"),
    ("SECRET_KEYS", f"{'k' * 40},{SECRET}", "at least 32 characters"),
    ("SECRET_KEYS", [SECRET], "at least 32 characters"),
    ("SECRET_KEYS", 4711, "at least 32 characters"),
]


@pytest.mark.parametrize(("name", "value", "advice"), WRONG)
def test_a_wrong_value_is_shown_with_what_to_write(name: str, value: Any, advice: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({f"CLINIC_DISPATCH_{name}": value}, instance_path="/nowhere")
    said = caught.value.message
    assert said.startswith(f"CLINIC_DISPATCH_{name} is {str(value)!r}: ")
    assert advice in said


@pytest.mark.parametrize(("name", "value", "advice"), WRONG_AND_SECRET)
def test_a_secret_is_never_shown(name: str, value: Any, advice: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({f"CLINIC_DISPATCH_{name}": value}, instance_path="/nowhere")
    said = caught.value.message
    assert said.startswith(f"CLINIC_DISPATCH_{name} is ")
    assert advice in said
    assert SECRET not in said and "4711" not in said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("oracle://host/x", "oracle://host/x"),
        ("oracle://u:p@host:1521/x", "oracle://***@host:1521/x"),
        ("postgresql+nodriver://anna@host/x", "postgresql+nodriver://***@host/x"),
        ("clinic.db", "clinic.db"),
    ],
)
def test_a_url_is_shown_without_who_signs_in(url: str, shown: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"CLINIC_DISPATCH_DATABASE_URL": url}, instance_path="/nowhere")
    assert caught.value.message.startswith(f"CLINIC_DISPATCH_DATABASE_URL is {shown!r}: ")


@pytest.mark.parametrize(
    ("name", "value", "field", "meant"),
    [
        ("DATABASE_URL", "postgresql://u:p@h/n", "database_url", "postgresql+psycopg://u:p@h/n"),
        ("DATABASE_URL", "mysql://u:p@h/n", "database_url", "mysql+pymysql://u:p@h/n"),
        ("REDIS_URL", "rediss://:pw@host:6380/2", "redis_url", "rediss://:pw@host:6380/2"),
        ("REDIS_URL", "unix:///run/redis.sock", "redis_url", "unix:///run/redis.sock"),
        ("BASE_URL", "https://clinic.example/app/", "base_url", "https://clinic.example/app"),
        ("URL_PREFIX", "/mail/out/", "url_prefix", "/mail/out"),
        ("LOCALE", "de_AT", "locale", "de"),
        ("SECRET_KEYS", f"{'a' * 32}, {'b' * 32}", "secret_keys", ("a" * 32, "b" * 32)),
        ("UNKNOWN_CONSENT", "none", "unknown_consent", frozenset()),
        ("UNKNOWN_CONSENT", [], "unknown_consent", frozenset()),
        ("UNKNOWN_CONSENT", "service", "unknown_consent", frozenset({"service"})),
        ("BLOCKED_PLUGINS", "sms, viber", "blocked_plugins", frozenset({"sms", "viber"})),
        ("LEASE_SECONDS", 5, "lease_seconds", 5.0),
        ("REGION", "at", "region", "AT"),
        ("LEASE_SECONDS", "", "lease_seconds", Settings().lease_seconds),
        ("TIMEZONE", None, "timezone", Settings().timezone),
    ],
)
def test_a_right_value_is_understood(name: str, value: Any, field: str, meant: Any) -> None:
    settings = load_settings({f"CLINIC_DISPATCH_{name}": value}, instance_path="/nowhere")
    assert getattr(settings, field) == meant


def test_the_host_s_word_stands_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLINIC_DISPATCH_REGION", "AT")
    assert load_settings({}, instance_path="/x").region == "AT"
    assert load_settings({"CLINIC_DISPATCH_REGION": "CH"}, instance_path="/x").region == "CH"


def test_settings_show_no_secret() -> None:
    config = {
        "CLINIC_DISPATCH_DATABASE_URL": f"postgresql://u:{SECRET}@h/n",
        "CLINIC_DISPATCH_REDIS_URL": f"redis://:{SECRET}@h",
        "CLINIC_DISPATCH_SECRET_KEYS": SECRET * 4,
    }
    assert SECRET not in repr(load_settings(config, instance_path="/x"))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1"},
            "CLINIC_DISPATCH_EMAIL_FROM is not set",
        ),
        (
            {**EMAIL, "CLINIC_DISPATCH_EMAIL_URL": f"smtp://u:{SECRET}@"},
            "CLINIC_DISPATCH_EMAIL_URL is 'smtp://***@'",
        ),
    ],
)
def test_a_channel_s_wrong_setting_is_said_and_costs_that_channel_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, config: dict[str, str], said: str
) -> None:
    clinic = make_clinic(tmp_path, config=config, tables=False)
    assert said in caplog.text
    assert SECRET not in caplog.text
    assert "email" not in clinic.dispatch.channels and "sms" in clinic.dispatch.channels
    [found] = [each for each in clinic.dispatch.loaded if each.name == "email"]
    assert said in found.problem and SECRET not in found.problem


@pytest.mark.parametrize(
    "program",
    [
        [*FLASK, "--app", "clinic_dispatch_plugin.demo", "dispatch"],
        [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli"],
    ],
)
def test_a_command_ends_with_the_sentence_alone(tmp_path: Path, program: list[str]) -> None:
    variables = {
        "CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "state"),
        "CLINIC_DISPATCH_LEASE_SECONDS": "ten",
    }
    found = Shell(tmp_path, variables).run(*program, "db", "current")
    assert found.status == 1
    sentence = (
        "CLINIC_DISPATCH_LEASE_SECONDS is 'ten': give a number of seconds above 0, such as 10."
    )
    assert found.err == f"Error: {sentence}\n"


def test_a_database_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    variables = {
        "CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "state"),
        "CLINIC_DISPATCH_DATABASE_URL": f"postgresql://u:{SECRET}@127.0.0.1:1/x",
    }
    for command in (["status"], ["db", "upgrade"]):
        found = Shell(tmp_path, variables).ours(*command)
        assert found.status == 1
        assert "The database cannot be reached" in found.err
        assert "Traceback" not in found.err and SECRET not in found.err
