"""What a sender may take, and what is written down before it does."""

from __future__ import annotations

from pathlib import Path

from clinic_dispatch_plugin.engine.feed import Feed
from clinic_dispatch_plugin.engine.journal import Journal
from clinic_dispatch_plugin.testing.messages import make_message


def test_who_may_not_send_any_more_takes_nothing_and_the_journal_stays_empty(
    tmp_path: Path,
) -> None:
    may = [True, True, False, True]
    journal = Journal(tmp_path, 1)
    feed = Feed(journal, lambda: may.pop(0))
    several = [make_message(f"p{number}@example.org") for number in range(3)]
    feed.add(several)
    assert feed.poll() is several[0]
    assert journal.path.read_text().splitlines()[1:] == [f"h {several[0].attempt_id}"]
    assert feed.poll() is several[1]
    assert feed.poll() is None
    assert feed.stopped
    assert feed.poll() is None, "once over, over"
    assert feed.untaken() == several[2:]
    assert len(journal.path.read_text().splitlines()) == 3
    journal.close()
