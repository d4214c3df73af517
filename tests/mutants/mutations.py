"""What is broken, where, and which tests must notice: a promise without two of these is only words."""

from __future__ import annotations

from dataclasses import dataclass

ENGINE = "clinic_dispatch_plugin/engine"
MESSAGES = "clinic_dispatch_plugin/messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One line of code that keeps a promise, and what stands in its place."""

    #: ``G1`` to ``G13``, ``states``, ``forms``, ``secrets``, ``patterns``.
    promise: str
    #: What would go wrong.
    harm: str
    file: str
    #: Stands in the file exactly once.
    old: str
    new: str
    tests: tuple[str, ...]


RUNS, JOURNAL = "tests/engine/test_runs.py", "tests/engine/test_journal.py"
LOOK, SENDING = "tests/engine/test_last_look.py", "tests/engine/test_sending.py"
FAULTS, RECOVERY = "tests/engine/test_faults.py", "tests/engine/test_recovery.py"
LATE, ANY = "tests/engine/test_late_words.py", "tests/engine/test_any_order.py"
SERVICE, GUARDS = "tests/store/test_message_service.py", "tests/engine/test_database_guards.py"
STATES, WEB = "tests/guards/test_states.py", "tests/web/test_web_base.py"

MUTATIONS = (
    Mutation(
        promise="G1",
        harm="what a dead run may have handed over is called unsent",
        file=f"{ENGINE}/aftermath.py",
        old="    if content is not None and content.never_left(attempt_id):\n",
        new="    if content is None or content.never_left(attempt_id):\n",
        tests=(f"{RUNS}::test_a_killed_runs_journal_on_no_local_disk_leaves_one_window_in_doubt",),
    ),
    Mutation(
        promise="G1",
        harm="after a restart of the machine a missing line of the journal counts as proof",
        file=f"{ENGINE}/journal.py",
        old="return self.boot_id == boot_id() and attempt_id not in",
        new="return attempt_id not in",
        tests=(f"{JOURNAL}::test_a_damaged_journal_is_believed_no_more_than_it_deserves",),
    ),
    Mutation(
        promise="G1",
        harm="a try that was proved late to be none stays counted, and the doctor finds records that disagree",
        file=f"{MESSAGES}/window_store.py",
        old="    if closed:\n",
        new="    if not rows:\n",
        tests=(f"{LATE}::test_a_try_that_proves_late_to_be_none_is_not_counted",),
    ),
    Mutation(
        promise="G2",
        harm="what a dead run had leased is never given back",
        file=f"{ENGINE}/aftermath.py",
        old="        if won:\n            messages.give_back(connection, run_id=run_id, lost=True)\n",
        new="",
        tests=(f"{RUNS}::test_a_run_that_was_killed_is_taken_over_without_waiting_for_its_lease",),
    ),
    Mutation(
        promise="G2",
        harm="leases that ran out are never noticed",
        file=f"{ENGINE}/store.py",
        old='Run.state == "live", Run.live_until < db_now())\n    return list',
        new='Run.state == "live", Run.live_until > db_now())\n    return list',
        tests=(f"{RUNS}::test_a_run_whose_lease_ran_out_opens_nothing_and_its_results_heal",),
    ),
    Mutation(
        promise="G3",
        harm="a message in doubt is sent again though nobody said that it may arrive twice",
        file=f"{MESSAGES}/service.py",
        old="if choice is Settlement.SEND_AGAIN and not may_arrive_twice:",
        new="if choice is None and not may_arrive_twice:",
        tests=(
            f"{SERVICE}::test_an_uncertain_message_goes_again_only_when_somebody_says_it_may_arrive_twice",
        ),
    ),
    Mutation(
        promise="G3",
        harm="a doubt is decided while the worker that had the message may still speak",
        file=f"{ENGINE}/quarantine.py",
        old="        if run_id in silent\n",
        new="        if run_id in ()\n",
        tests=(
            f"{RUNS}::test_nothing_in_doubt_is_decided_before_its_run_is_dead_or_the_quarantine_is_over",
        ),
    ),
    Mutation(
        promise="G3",
        harm="a database restored from a backup sends everything once more",
        file=f"{ENGINE}/pump.py",
        old="    if awaits_recovery(dispatch):\n        return 0\n",
        new="",
        tests=(RECOVERY,),
    ),
    Mutation(
        promise="G3",
        harm="two workers lease the same message",
        file=f"{MESSAGES}/store.py",
        old="            Message.state == MessageState.QUEUED.value,\n"
        "            Message.due_at <= db_now(),\n            lost,\n",
        new="            Message.state.in_(['queued', 'leased']),\n"
        "            Message.due_at <= db_now(),\n            lost,\n",
        tests=(f"{RUNS}::test_claims_at_once_take_every_message_once",),
    ),
    Mutation(
        promise="G4",
        harm="messages go out before their attempts are committed",
        file=f"{ENGINE}/windows.py",
        old="        return [message for message in prepared.messages if message.attempt_id in opened]\n",
        new="        self._feed.add([m for m in prepared.messages if m.attempt_id in opened])\n"
        "        time.sleep(0.2)\n        return []\n",
        tests=(f"{SENDING}::test_what_is_handed_over_was_written_down_before",),
    ),
    Mutation(
        promise="G4",
        harm="a message somebody cancelled is handed over without an attempt",
        file=f"{ENGINE}/windows.py",
        old="        return [message for message in prepared.messages if message.attempt_id in opened]\n",
        new="        return list(prepared.messages)\n",
        tests=(f"{LOOK}::test_a_message_cancelled_behind_the_windows_back_is_not_handed_over",),
    ),
    Mutation(
        promise="G4",
        harm="a worker that was asked to end, or whose lease is over, goes on taking",
        file=f"{ENGINE}/feed.py",
        old="            if not self._may_take():\n",
        new="            if self._stopped:\n",
        tests=("tests/engine/test_feed.py",),
    ),
    Mutation(
        promise="G5",
        harm="the result of an old attempt moves the message of a newer one",
        file=f"{MESSAGES}/window_store.py",
        old='            Message.attempt_id == given["b_attempt"],\n            _is_one_of',
        new='            given["b_attempt"] > 0,\n            _is_one_of',
        tests=(f"{LATE}::test_a_late_result_leaves_the_attempt_that_is_under_way_alone",),
    ),
    Mutation(
        promise="G5",
        harm="a late result does not reach its attempt",
        file=f"{MESSAGES}/window_store.py",
        old="_is_one_of(Attempt.state, [AttemptState.OPEN, AttemptState.UNCERTAIN])",
        new="_is_one_of(Attempt.state, [AttemptState.OPEN])",
        tests=(ANY, f"{RUNS}::test_a_late_result_changes_nothing_once_another_attempt_is_current"),
    ),
    Mutation(
        promise="G5",
        harm="a late report of an old attempt moves the message",
        file=f"{MESSAGES}/reported_store.py",
        old="            Message.attempt_id == attempt_id,\n            Message.state.in_(\n"
        "                [state.value for state in sources(MessageState.DELIVERED",
        new="            Message.state.in_(\n"
        "                [state.value for state in sources(MessageState.DELIVERED",
        tests=(f"{LATE}::test_a_late_report_of_an_old_attempt_says_nothing_of_the_new_one",),
    ),
    Mutation(
        promise="G6",
        harm="ten times as many messages are in doubt when a machine dies",
        file=f"{ENGINE}/pace.py",
        old="self.size = min(WINDOW, most)",
        new="self.size = min(10 * WINDOW, most)",
        tests=(f"{RUNS}::test_a_killed_runs_journal_on_no_local_disk_leaves_one_window_in_doubt",),
    ),
    Mutation(
        promise="G6",
        harm="the journal does not know what was answered",
        file=f"{ENGINE}/stream.py",
        old="            self._run.journal.answered(result)\n",
        new="            pass\n",
        tests=(f"{RUNS}::test_a_run_that_was_killed_is_taken_over_without_waiting_for_its_lease",),
    ),
    Mutation(
        promise="G7",
        harm="who withdrew their consent gets the message",
        file=f"{ENGINE}/prepare.py",
        old="    if not code and not consent_allows(",
        new="    if code and not consent_allows(",
        tests=(f"{LOOK}::test_the_host_is_asked_once_more_just_before",),
    ),
    Mutation(
        promise="G7",
        harm="a block set after the plan does not hold",
        file=f"{ENGINE}/prepare.py",
        old='    code = code or known.blocked.get(fingerprint(dispatch, text.channel, row["address"]))\n',
        new="",
        tests=(f"{LOOK}::test_a_block_set_after_the_plan_holds",),
    ),
    Mutation(
        promise="G7",
        harm="who died gets the message",
        file=f"{ENGINE}/prepare.py",
        old="        if not card.active:\n",
        new="        if not card:\n",
        tests=(f"{LOOK}::test_the_host_is_asked_once_more_just_before",),
    ),
    Mutation(
        promise="G7",
        harm="a message goes out though its last moment has passed",
        file=f"{ENGINE}/windows.py",
        old="        if self._text.not_after is not None and self._text.not_after <= now:\n",
        new="        if self._text.not_after is not None and self._text.not_after is now:\n",
        tests=(f"{LOOK}::test_what_became_overdue_since_it_was_leased_is_not_sent",),
    ),
    Mutation(
        promise="G8",
        harm="windows open after somebody paused or cancelled",
        file=f"{ENGINE}/windows.py",
        old="            runs, self._text.not_after = messages.runs_still(connection, self._text.mailing_id)\n",
        new="            runs = True\n",
        tests=(f"{LOOK}::test_after_pause_or_cancel_is_confirmed_no_window_opens",),
    ),
    Mutation(
        promise="G8",
        harm="a stopped account goes on sending",
        file=f"{ENGINE}/windows.py",
        old="        if may_open and accounts.may_send(connection, self._account_id, probing=self._probing):\n",
        new="        if may_open:\n",
        tests=(f"{LATE}::test_a_stopped_account_opens_no_further_window",),
    ),
    Mutation(
        promise="G9",
        harm="a page waits for a Redis that is frozen",
        file="clinic_dispatch_plugin/queue/doorbell.py",
        old="PATIENCE_SECONDS = 1.0\n",
        new="PATIENCE_SECONDS = 8.0\n",
        tests=(
            f"{FAULTS}::test_whatever_happens_to_redis_nobody_waits_and_the_tender_rings_again",
        ),
    ),
    Mutation(
        promise="G9",
        harm="a ring that Redis lost is never repeated",
        file=f"{ENGINE}/tender.py",
        old="        dispatch.doorbell.ring()\n    return bool(work or plans)\n",
        new="        pass\n    return bool(work or plans)\n",
        tests=(
            f"{FAULTS}::test_whatever_happens_to_redis_nobody_waits_and_the_tender_rings_again",
        ),
    ),
    Mutation(
        promise="G10",
        harm="a transaction stays open while the clinic's system is asked",
        file=f"{ENGINE}/windows.py",
        old="        with self._dispatch.database.look() as connection:\n"
        "            rows = messages.leased(connection, run_id=self._run.run_id, ids=ids)\n",
        new="        self.held = connection = self._dispatch.database.engine.connect()\n"
        "        rows = messages.leased(connection, run_id=self._run.run_id, ids=ids)\n",
        tests=(f"{LOOK}::test_no_transaction_is_open_while_others_are_asked",),
    ),
    Mutation(
        promise="G10",
        harm="a transaction stays open while the gateway is asked",
        file=f"{ENGINE}/stream.py",
        old="        if results or prepared:\n            self._windows.commit(results, prepared)\n",
        new="        if results or prepared:\n            self._windows.commit(results, prepared)\n"
        "            self.held = self._run.dispatch.database.engine.connect()\n"
        "            self.held.exec_driver_sql('SELECT 1')\n",
        tests=(f"{LOOK}::test_no_transaction_is_open_while_others_are_asked",),
    ),
    Mutation(
        promise="G11",
        harm="a gateway is told that its report was kept, and it was not",
        file="clinic_dispatch_plugin/reports/callback_views.py",
        old="        return _said(503, later=_LATER)\n",
        new="        return _said(200, later=_LATER)\n",
        tests=(
            "tests/reports/test_callbacks.py::test_without_the_database_the_gateway_is_asked_to_come_again",
        ),
    ),
    Mutation(
        promise="G11",
        harm="a report that comes late overwrites a weightier one",
        file=f"{MESSAGES}/reported_store.py",
        old="    lighter = WEIGHTS[: WEIGHTS.index(report)]\n",
        new="    lighter = WEIGHTS\n",
        tests=(
            "tests/reports/test_inbox.py::test_in_any_order_and_three_times_over_the_end_is_the_same",
        ),
    ),
    Mutation(
        promise="G12",
        harm="what is not sent does not say why",
        file=f"{MESSAGES}/store.py",
        old=".values(state=state.value, due_at=None, answer_id=answer_id, final_at=db_now())",
        new=".values(state=state.value, due_at=None, answer_id=None, final_at=db_now())",
        tests=(f"{SENDING}::test_what_is_overdue_is_not_sent_at_all",),
    ),
    Mutation(
        promise="G12",
        harm="the database takes a failure that nothing explains",
        file="migrations/versions/0008_states.py",
        old="\"state NOT IN ('undelivered', 'uncertain', 'skipped') OR answer_id IS NOT NULL\"",
        new="\"state <> 'nowhere'\"",
        tests=(f"{GUARDS}::test_states_that_must_not_be_are_refused",),
    ),
    Mutation(
        promise="G13",
        harm="nobody says that messages wait and nobody sends them",
        file="clinic_dispatch_plugin/cli/sending_findings.py",
        old="LATE_SECONDS = 300.0\n",
        new="LATE_SECONDS = 300_000.0\n",
        tests=("tests/mounting/test_doctor.py::test_a_message_that_nobody_sends_is_found",),
    ),
    Mutation(
        promise="G13",
        harm="the pages do not say that no worker is there",
        file=f"{ENGINE}/presence.py",
        old="    return seen and (not dispatch",
        new="    return True or (not dispatch",
        tests=(
            "tests/web/test_message_pages.py::test_that_no_worker_is_there_is_said_until_one_gives_a_sign_of_life",
        ),
    ),
    Mutation(
        promise="states",
        harm="a person may send again what was sent",
        file=f"{MESSAGES}/rules.py",
        old="    (_S.SENT, _S.QUEUED): frozenset({Mover.REPORT, Mover.TENDER}),\n",
        new="    (_S.SENT, _S.QUEUED): frozenset({Mover.REPORT, Mover.TENDER, Mover.PERSON}),\n",
        tests=(STATES,),
    ),
    Mutation(
        promise="states",
        harm="messages are queued again whatever state they are in",
        file=f"{MESSAGES}/store.py",
        old="        .where(Message.state.in_([state.value for state in from_states]))\n",
        new="",
        tests=(STATES,),
    ),
    Mutation(
        promise="states",
        harm="a settled message may belong to a run",
        file="migrations/versions/0008_states.py",
        old="\"run_in_hand\": \"run_id IS NULL OR state IN ('leased', 'sending')\"",
        new='"run_in_hand": "run_id IS NULL OR state <> \'nowhere\'"',
        tests=(f"{GUARDS}::test_states_that_must_not_be_are_refused",),
    ),
    Mutation(
        promise="forms",
        harm="a form of another site is taken",
        file="clinic_dispatch_plugin/web/csrf.py",
        old="    if not _same_origin():\n",
        new="    if request.is_json:\n",
        tests=(f"{WEB}::test_a_form_from_another_origin_is_refused",),
    ),
    Mutation(
        promise="forms",
        harm="anybody's token opens everybody's forms",
        file="clinic_dispatch_plugin/web/csrf.py",
        old="    if not secrets.compare_digest(str(owner), _owner()):\n",
        new="    if not owner:\n",
        tests=(f"{WEB}::test_a_token_of_one_person_is_no_token_of_another",),
    ),
    Mutation(
        promise="secrets",
        harm="a log holds the words of a host's error, and with them a patient's name",
        file=f"{ENGINE}/prepare.py",
        old='        log.error("message %d cannot be made: %s", row["id"], places(error), extra=ids)\n',
        new='        log.exception("message %d cannot be made: %s", row["id"], error)\n',
        tests=(
            f"{RUNS}::test_a_text_that_cannot_be_made_stops_this_message_alone",
            "tests/guards/test_logs.py",
        ),
    ),
    Mutation(
        promise="secrets",
        harm="settings that are printed show the database's password",
        file="clinic_dispatch_plugin/config.py",
        old="    database_url: str | None = field(default=None, repr=False)\n",
        new="    database_url: str | None = None\n",
        tests=("tests/mounting/test_settings.py::test_settings_show_no_secret",),
    ),
    Mutation(
        promise="secrets",
        harm="addresses can be tried out on a copy of the blocked ones",
        file=f"{MESSAGES}/fingerprints.py",
        old="    if digest.startswith(_KEYED):\n",
        new="    if digest:\n",
        tests=("tests/store/test_fingerprints.py",),
    ),
    Mutation(
        promise="patterns",
        harm="a pattern of any length is taken",
        file="clinic_dispatch_plugin/error_reference/rules.py",
        old="PATTERN_LIMIT = 500\n",
        new="PATTERN_LIMIT = 500_000\n",
        tests=("tests/rules/test_reference_checking.py::test_key_and_pattern_take_their_bounds",),
    ),
    Mutation(
        promise="patterns",
        harm="a pattern may need any amount of memory",
        file="clinic_dispatch_plugin/error_reference/rules.py",
        old="    options.max_mem = 1 << 20\n",
        new="    options.max_mem = 1 << 30\n",
        tests=(
            "tests/rules/test_reference_growing.py::test_what_cannot_be_bounded_is_refused_with_a_sentence",
        ),
    ),
)
