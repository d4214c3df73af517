"""The counter while one types and the one on the server: the same for thousands of texts."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest

import clinic_dispatch_plugin
from clinic_dispatch_plugin.mailings.counting import with_values
from clinic_dispatch_sms.parts import parted
from clinic_dispatch_sms.saving import odd_characters

MODULE = Path(clinic_dispatch_plugin.__file__).parent / "static" / "sms-count.js"
TEXTS = 5_000

#: What texts are made of: each line is a kind, and a text mixes a few kinds.
KINDS = [
    list("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789 .,:;!?()"),
    list("@£$¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà"),
    list("^{}\\[~]|€\f\n\r\t"),
    ["\r\n", "\r", "\n\n", "  ", " \t ", "\u0085", "\u2028", "\u00a0", "\u3000", "\ufeff", "\x1c"],
    list("абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВ"),
    list("әғқңөұүһіӘҒҚ"),
    ["e\u0301", "и\u0306", "a\u0308", "o\u0302\u0323", "\u0301", "я\u0301"],
    list("„“”«»‚‘’–—…№™×₸₽•"),
    [
        "😀",
        "👍🏽",
        "👨\u200d👩\u200d👧",
        "🏳\ufe0f\u200d🌈",
        "❤\ufe0f",
        "🇩🇪",
        "🇰🇿",
        "🇩",
        "1\ufe0f\u20e3",
    ],
    ["\u200d", "\ufe0f", "🏽", "\u200b", "\u00ad", "\U000e0067", "\U000e007f"],
    ["각", "가", "힣", "\u1100\u1161\u11a8", "\u1100", "\u1161"],
    ["नि", "क्ष", "स्त्री", "தமி", "กำ", "ำ", "א\u05b8", "مُ", "ﷺ"],
    list("ğışçĞİŞáíóúâêîôûëï"),
    ["{{ name }}", "{{date|date}}", "{% if x %}", "{% endif %}", "{{", "}}", "{%", "%}", "{{\n}}"],
    # Signs of all the world that were known before either side's tables were made.
    [chr(each) for each in range(0x21, 0x2000, 37) if unicodedata.category(chr(each)) != "Cn"],
]


def texts() -> list[str]:
    """The same ones each time."""
    rng = random.Random(20240115)
    found = []
    for _ in range(TEXTS):
        kinds = rng.sample(KINDS, rng.randint(1, 4))
        length = rng.choice([0, 1, 5, 40, 66, 67, 68, 70, 71, 135, 153, 160, 161, 306, 320])
        found.append("".join(rng.choice(rng.choice(kinds)) for _ in range(length)))
    return found


def on_the_server(text: str) -> dict[str, Any]:
    found = parted(text)
    return {
        "encoding": found.encoding,
        "characters": found.characters,
        "units": found.units,
        "parts": max(found.parts, 1),
        "left": found.left,
        "odd": odd_characters(text),
        "values": with_values(text),
    }


SCRIPT = "texts.map((text) => ({ ...measure(text), values: withValues(text) }))"


def in_node(several: list[str]) -> list[dict[str, Any]]:
    code = f"""
        import {{ readFileSync }} from "node:fs";
        import {{ measure, withValues }} from {json.dumps(MODULE.as_uri())};
        const texts = JSON.parse(readFileSync(0, "utf8"));
        console.log(JSON.stringify({SCRIPT}));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code],
        input=json.dumps(several),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def in_a_browser(several: list[str], page: Any) -> list[dict[str, Any]]:
    page.goto("about:blank")
    source = MODULE.read_text(encoding="utf-8").replace("export function", "function")
    found: list[dict[str, Any]] = page.evaluate(
        f"(texts) => {{ {source}; return {SCRIPT}; }}", several
    )
    return found


def test_both_count_alike(request: pytest.FixtureRequest) -> None:
    several = texts()
    node = shutil.which("node")
    theirs = in_node(several) if node else in_a_browser(several, request.getfixturevalue("page"))
    differing = [
        (text, mine, other)
        for text, other in zip(several, theirs, strict=True)
        if (mine := on_the_server(text)) != other
    ]
    assert not differing, f"{len(differing)} of {len(several)}, such as {differing[0][0][:200]!r}"
    kinds = {(each["encoding"], min(each["parts"], 4)) for each in theirs}
    assert len(kinds) == 8, "texts of one to four parts in both alphabets"
