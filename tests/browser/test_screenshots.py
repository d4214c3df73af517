"""The pictures of the README, taken from the demo clinic itself, so that they show what there is."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.clinic import DemoClinic, sign_in, visitor

#: Set by ``make screenshots``: then the pictures in the repository are taken anew.
TAKE = "CLINIC_DISPATCH_SCREENSHOTS"
KEPT = Path(__file__).parents[1] / "screenshots"
MOST_BYTES = 300_000
PNG = b"\x89PNG\r\n\x1a\n"

PICTURES = {"mailing": "/dispatch/mailings/{mailing}", "reference": "/dispatch/errors"}


@pytest.mark.screenshots
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_taken(browser: Browser, demo: DemoClinic, tmp_path: Path, name: str) -> None:
    target = (KEPT if os.environ.get(TAKE) == "1" else tmp_path) / f"{name}.png"
    with visitor(browser) as page:
        sign_in(page, demo)
        page.goto(demo.url + PICTURES[name].format(mailing=demo.mailing))
        page.wait_for_load_state("networkidle")
        picture = packed(page.screenshot())
    target.write_bytes(picture)
    assert size_of(picture) == (1280, 900)
    assert len(picture) < MOST_BYTES


@pytest.mark.parametrize("name", PICTURES)
def test_the_readme_has_its_pictures(name: str) -> None:
    picture = (KEPT / f"{name}.png").read_bytes()
    assert size_of(picture) == (1280, 900)
    assert len(picture) < MOST_BYTES
    readme = (KEPT.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"tests/screenshots/{name}.png" in readme


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height, from the header chunk (PNG, 11.2.2)."""
    assert picture.startswith(PNG)
    width, height = struct.unpack(">II", picture[16:24])
    return int(width), int(height)


def packed(picture: bytes) -> bytes:
    """The same picture in fewer bytes: the browser packs for speed."""
    chunks = list(_chunks(picture))
    data = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    tight = _chunk(b"IDAT", zlib.compress(data, 9))
    before = [
        _chunk(kind, body) for kind, body in chunks if kind in (b"IHDR", b"PLTE", b"tRNS", b"sRGB")
    ]
    smaller = PNG + b"".join(before) + tight + _chunk(b"IEND", b"")
    return min(smaller, picture, key=len)


def _chunks(picture: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(PNG)
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        found.append((picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
