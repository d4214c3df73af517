"""A real IMAP server for the tests: Dovecot with TLS and one mailbox, whose certificate only the test trusts."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.found import Found, Missing, look_for
from tests.servers.process import Running, answers, free_port, private_folder, start

PART = "Dovecot"
USER = "returned"
PASSWORD = "p@ss/w?#rd"

CONFIGURATION = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=plain {folder}/users
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/mail
}}

service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""


def find() -> Found | Missing:
    """Look for Dovecot; it changes users by itself, so it needs root."""
    answer = look_for(PART, ["dovecot"])
    if isinstance(answer, Missing):
        return answer
    if os.geteuid() != 0:
        return Missing(part=PART, reason="it starts as root only")
    names = {entry.pw_name for entry in pwd.getpwall()}
    if not {"dovecot", "dovenull"} <= names:
        return Missing(part=PART, reason="its users are missing")
    if not any(
        Path(place, "imap-login").exists() for place in ("/usr/lib/dovecot", "/usr/libexec/dovecot")
    ):
        return Missing(part=PART, reason="it has no imap-login")
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Dovecot:
    """A running IMAP server with an empty mailbox."""

    running: Running
    port: int
    folder: Path

    @property
    def certificate(self) -> Path:
        """Return the file by which its certificate is proved."""
        return self.folder / "cert.pem"

    def deliver(self, raw: bytes, *, name: str = "1.test") -> None:
        """Put a mail into the mailbox."""
        owner = pwd.getpwnam("dovecot")
        path = self.folder / "mail" / "tmp" / name
        path.write_bytes(raw)
        os.chown(path, owner.pw_uid, owner.pw_gid)
        path.rename(self.folder / "mail" / "new" / name)

    def names(self) -> list[str]:
        """Return the files of the mailbox, flags and all."""
        return sorted(
            path.name
            for place in ("new", "cur")
            for path in (self.folder / "mail" / place).iterdir()
        )

    def empty(self) -> None:
        """Forget all mail."""
        for place in ("new", "cur"):
            for path in (self.folder / "mail" / place).iterdir():
                path.unlink()


@contextlib.contextmanager
def running(found: Found) -> Iterator[Dovecot]:
    """Start a server on a free loopback port and stop it afterwards."""
    port = free_port()
    owner = pwd.getpwnam("dovecot")
    with private_folder("dovecot", mode=0o755) as folder:
        for name in ("mail", "mail/new", "mail/cur", "mail/tmp", "run", "state"):
            (folder / name).mkdir()
            if name.startswith("mail"):
                os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
        _make_certificate(folder)
        configuration = folder / "dovecot.conf"
        text = CONFIGURATION.format(folder=folder, port=port, owner=owner)
        configuration.write_text(text, encoding="utf-8")
        server = start([found.program("dovecot"), "-F", "-c", str(configuration)], folder=folder)
        try:
            server.wait_until(lambda: answers(port))
            yield Dovecot(running=server, port=port, folder=folder)
        finally:
            server.stop()


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imap.test")])
    now = datetime.datetime.now(tz=datetime.UTC)
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(place, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
