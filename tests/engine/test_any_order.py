"""Messages in any order of events: workers step by step, crashes, reports, persons, pauses, edits of the reference.

A model beside them remembers what was really handed over and what anybody was told; after every step the database is
compared with it. ``HYPOTHESIS_PROFILE=long`` looks for much longer.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select, text

from clinic_dispatch_plugin.api import Accepted, Answer, NotSent, Refused, SendResult, Uncertain
from clinic_dispatch_plugin.channels.types import OutgoingMessage
from clinic_dispatch_plugin.database.base import Base, db_now
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.engine import store
from clinic_dispatch_plugin.engine.aftermath import settle
from clinic_dispatch_plugin.engine.claims import Claims
from clinic_dispatch_plugin.engine.feed import Feed
from clinic_dispatch_plugin.engine.journal import SUFFIX, Journal
from clinic_dispatch_plugin.engine.lease import Lease
from clinic_dispatch_plugin.engine.prepare import Prepared, load_text
from clinic_dispatch_plugin.engine.run import RunState
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.engine.windows import Windows
from clinic_dispatch_plugin.error_reference.editing import save_entry
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages import again, reported_store, truth_store
from clinic_dispatch_plugin.messages.rules import MOVES, AttemptState, MessageState
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Settlement, settle_uncertain
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.reports import effects
from tests.conftest import DATABASES
from tests.engine.conftest import _SEEN, TRIGGERS, moves_seen
from tests.engine.dispatching import Desk, open_desk
