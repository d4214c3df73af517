"""Messages as commands print them: one plain dictionary a message, streamed, oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.error_reference.answers import Explained, explained
from clinic_dispatch_plugin.messages import lists_store as store
from clinic_dispatch_plugin.messages.causes import stretches
from clinic_dispatch_plugin.registry import Dispatch


def messages_for_command(
    dispatch: Dispatch,
    *,
    mailing_id: int | None = None,
    state: str | None = None,
    language: str = "en",
) -> Iterator[dict[str, Any]]:
    """Every message (of a mailing, in a state); times are ISO 8601 in UTC, what is not there is None or empty text.

    No transaction is open while the caller has a message in hand.
    """
    with dispatch.database.begin() as connection:
        low, high = store.id_bounds(connection, mailing_id)
    for first, last in stretches(low, high):
        with dispatch.database.begin() as connection:
            rows = store.for_command(
                connection, mailing_id=mailing_id, state=state, first=first, last=last
            )
            answers = explained(dispatch, connection, (row["answer_id"] for row in rows))
        for row in rows:
            yield _said(row, answers, language)


def _said(row: RowMapping, answers: Mapping[int, Explained], language: str) -> dict[str, Any]:
    answer = answers.get(row["answer_id"] or 0)
    entry = answer.entry if answer else None
    return {
        "id": row["id"],
        "mailing": row["mailing_id"],
        "recipient": row["ref"] or row["name"],
        "channel": row["channel"],
        "address": row["address"],
        "status": row["state"],
        "note": answer.text("short", language) if answer else "",
        "group": entry.group if entry else None,
        "category": entry.category if entry else None,
        "entry": _entry(answer),
        "answer": _raw(row, answer),
        "provider_id": row["provider_id"],
        "attempts": row["attempts"],
        "created_at": _time(row["created_at"]),
        "sent_at": _time(row["sent_at"]),
        "final_at": _time(row["final_at"]),
        # Of the file's row the message was made from.
        "line": row["line"],
    }


def _entry(answer: Explained | None) -> dict[str, str] | None:
    if answer is None:
        return None
    system, code = answer.named
    return {"system": system, "code": code, "matched": answer.matched.value}


def _raw(row: RowMapping, answer: Explained | None) -> str:
    """The last attempt's words while they explain the message, or a decision of ours came on top of them."""
    if row["answer_id"] is None and row["state"] in ("queued", "leased", "skipped"):
        return ""
    ours = answer is not None and answer.system == "dispatch"
    if row["last_answer_id"] == row["answer_id"] or ours:
        return str(row["last_text"] or "")
    return answer.sample if answer else ""


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
