"""A relay for each test, connections to it, and a certificate."""

from __future__ import annotations

import datetime
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator
from tests.simulators.raw_client import RawClient

PHASES: tuple[Literal["setup", "call"], ...] = ("setup", "call")


@pytest.fixture
def start_relay(tmp_path: Path) -> Iterator[Callable[..., SmtpSimulator]]:
    """Start a relay with the given settings; it writes its ledger to ``ledger`` in ``tmp_path``."""
    with ExitStack() as stack:

        def start(**settings: Any) -> SmtpSimulator:
            chosen = replace(RelaySettings(ledger=tmp_path / "ledger"), **settings)
            return stack.enter_context(SmtpSimulator(chosen))

        yield start


@pytest.fixture
def relay(start_relay: Callable[..., SmtpSimulator]) -> SmtpSimulator:
    """A relay with its ordinary settings."""
    return start_relay()


@pytest.fixture
def connect() -> Iterator[Callable[..., RawClient]]:
    """Open raw connections to a relay."""
    with ExitStack() as stack:

        def open_client(simulator: SmtpSimulator, *, greeted: bool = True) -> RawClient:
            client = RawClient(simulator.port, greeted=greeted)
            stack.callback(client.close)
            return client

        yield open_client


@pytest.fixture(autouse=True)
def no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a thread or a task swallows shows in the log alone: such a line fails the test."""
    with caplog.at_level(logging.WARNING):
        yield
    for phase in PHASES:
        for record in caplog.get_records(phase):
            assert getattr(record, "expected", False) or record.levelno < logging.ERROR, record


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 signed by itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "relay.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    """For the relay."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def client_tls(certificate: Path) -> ssl.SSLContext:
    """For a client that trusts this relay and nobody else."""
    return ssl.create_default_context(cafile=str(certificate))
