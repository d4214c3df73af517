"""What the centre says is what the packs explain."""

from __future__ import annotations

import pytest

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.testing.judgement import explained
from clinic_dispatch_sms import clinic_dispatch_reference_packs
from clinic_dispatch_sms.smpp import statuses
from clinic_dispatch_sms.smpp.receipts import STATES

PACKS = {pack.system: pack for pack in clinic_dispatch_reference_packs()}


def test_a_status_has_the_name_the_pack_gives_it() -> None:
    names = {entry.code: (entry.symbol or "").split(" / ")[0] for entry in PACKS["smpp"].entries}
    for status in [*range(0x01, 0x105)]:
        answer = statuses.answer_of(status, about="submit_sm")
        if "ESME_" in answer.text:
            assert answer.text == f"submit_sm: {names[answer.code]} ({answer.code})"


def test_every_state_is_explained() -> None:
    codes = {entry.code for entry in PACKS["smpp_delivery"].entries}
    assert set(STATES.values()) <= codes


@pytest.mark.parametrize(
    ("status", "code"),
    [(0x58, "0x00000058"), (0x411, "0x000004xx"), (0x4FF, "0x000004xx"), (0x9999, "*")],
)
def test_a_status_of_the_providers_own_is_known_as_one(status: int, code: str) -> None:
    answer = statuses.answer_of(status, about="submit_sm")
    entry = explained(answer, list(PACKS.values())).entry
    assert entry is not None and entry.code == code


def test_a_receipts_code_is_explained_by_the_list_it_follows() -> None:
    for code in ("034", "map:1"):
        answer = Answer(system="smpp_err", code=code)
        entry = explained(answer, list(PACKS.values())).entry
        assert entry is not None and entry.code == code
