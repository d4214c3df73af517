"""The fault matrix: what may break, and which test breaks it for real. A guard sees that each test is there."""

from __future__ import annotations

KILLS, SIGNALS = "tests/crash/test_kills.py", "tests/crash/test_signals.py"
RUNS, FAULTS = "tests/engine/test_runs.py", "tests/engine/test_faults.py"
JOURNAL, LOOK = "tests/engine/test_journal.py", "tests/engine/test_last_look.py"
ACCOUNTS, SENDING = "tests/engine/test_accounts.py", "tests/engine/test_sending.py"
SMTP, WIRE = "tests/email/test_sender_failures.py", "tests/email/test_sender.py"
HTTP, ASKING = "tests/sms/test_http_gateways.py", "tests/reports/test_asking.py"
INBOX, CALLBACKS = "tests/reports/test_inbox.py", "tests/reports/test_callbacks.py"
PLANNING = "tests/store/test_planning.py"
CAPS, QUIET = "tests/engine/test_caps.py", "tests/rules/test_quiet_hours.py"
_KILLED = f"{KILLS}::test_a_worker_killed_here_loses_and_doubles_nothing"
_REDIS = f"{FAULTS}::test_whatever_happens_to_redis_nobody_waits_and_the_tender_rings_again"
_DAMAGED = f"{JOURNAL}::test_a_damaged_journal_is_believed_no_more_than_it_deserves"

#: By number: what happens, and the tests that make it happen. A test's parameter stands behind ``@``.
MATRIX: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "killed after the commit, before the bell rings",
        (f"{KILLS}::test_what_was_committed_before_the_bell_rang_is_sent",),
    ),
    2: ("the host rolls back", (f"{PLANNING}::test_what_a_host_rolls_back_was_never_sent",)),
    3: (
        "the same key from two at once",
        (f"{PLANNING}::test_two_at_once_with_one_key_make_one_mailing",),
    ),
    4: (
        "the planner killed midway",
        (f"{KILLS}::test_a_plan_killed_midway_goes_on_and_nobody_is_written_twice",),
    ),
    5: ("killed after the claim", (f"{_KILLED}@pump.after_claim:kill",)),
    6: ("killed after opening the window", (f"{_KILLED}@pump.after_open:kill",)),
    7: ("killed before the bytes", (f"{_KILLED}@send.before_bytes:kill",)),
    8: ("killed after the bytes", (f"{_KILLED}@send.after_bytes:kill",)),
    9: ("killed after the answer", (f"{_KILLED}@send.after_answer:kill",)),
    10: ("killed before recording", (f"{_KILLED}@record.before_commit:kill:2",)),
    11: (
        "killed after recording",
        (
            f"{_KILLED}@record.after_commit:kill:2",
            f"{JOURNAL}::test_a_second_reading_changes_nothing",
        ),
    ),
    12: (
        "the machine dies",
        (
            _DAMAGED,
            f"{RUNS}::test_a_killed_runs_journal_on_no_local_disk_leaves_one_window_in_doubt",
        ),
    ),
    13: ("the journal torn or foreign", (_DAMAGED,)),
    14: (
        "the worker killed, its work-horse lives",
        (f"{SIGNALS}::test_when_the_supervisor_is_killed_alone_its_children_finish_and_end",),
    ),
    15: (
        "frozen past its lease",
        (
            f"{SIGNALS}::test_a_worker_frozen_past_its_lease_opens_nothing_when_it_wakes",
            f"{RUNS}::test_a_run_whose_lease_ran_out_opens_nothing_and_its_results_heal",
        ),
    ),
    16: (
        "frozen, sent again by a person, wakes",
        (f"{RUNS}::test_a_late_result_changes_nothing_once_another_attempt_is_current",),
    ),
    17: (
        "several claim at once",
        (
            f"{RUNS}::test_claims_at_once_take_every_message_once",
            f"{RUNS}::test_pumps_at_once_hand_every_message_over_once",
        ),
    ),
    18: ("two tenders", (f"{FAULTS}::test_tenders_at_once_end_where_one_would",)),
    19: (
        "Redis down at the start",
        (f"{FAULTS}::test_a_redis_that_is_not_there_costs_no_message_and_no_time",),
    ),
    20: ("Redis emptied", (_REDIS,)),
    21: (
        "Redis killed and back empty",
        (
            _REDIS,
            "tests/queue/test_embedded_server.py::test_a_server_that_was_killed_is_started_again",
        ),
    ),
    22: ("Redis frozen", (_REDIS,)),
    23: ("Redis full", (_REDIS,)),
    24: ("the same job ten times", (_REDIS,)),
    25: (
        "the database cuts its connections",
        (f"{RUNS}::test_a_database_that_cuts_its_connections_costs_no_message",),
    ),
    26: (
        "the database gone after the acceptance",
        (
            f"{FAULTS}::test_a_database_away_after_the_acceptance_costs_nothing_and_no_window_opens_meanwhile",
        ),
    ),
    27: (
        "the same, and killed",
        (f"{FAULTS}::test_killed_while_the_database_is_away_the_journal_knows_what_was_taken",),
    ),
    28: (
        "the answer of a commit lost",
        (f"{FAULTS}::test_a_commit_whose_answer_is_lost_doubles_and_loses_nothing",),
    ),
    29: (
        "deadlock, a second writer",
        (
            f"{FAULTS}::test_a_deadlock_is_answered_by_the_whole_transaction_again",
            f"{FAULTS}::test_a_second_writer_holds_sending_up_and_spoils_nothing",
        ),
    ),
    30: (
        "the database's disk full",
        (f"{FAULTS}::test_a_full_disk_under_the_database_hands_nothing_over_unwritten",),
    ),
    31: (
        "the spool full or not to be written",
        (
            f"{FAULTS}::test_a_spool_that_fills_up_stops_sending_and_leaves_no_doubt",
            f"{RUNS}::test_a_spool_that_cannot_be_written_stops_sending_and_loses_nothing",
        ),
    ),
    32: (
        "asked to end in the middle",
        (f"{SIGNALS}::test_sigterm_finishes_what_is_open_and_gives_the_rest_back",),
    ),
    33: (
        "asked to end while the gateway is silent",
        (f"{SIGNALS}::test_a_second_signal_ends_every_process_at_once",),
    ),
    34: (
        "a clock that jumps",
        (
            f"{FAULTS}::test_a_clock_that_jumps_sends_nothing_early_and_loses_no_run",
            "tests/guards/test_faults.py::test_what_decides_asks_no_clock_of_its_own",
        ),
    ),
    35: (
        "summer time begins and ends",
        (
            f"{QUIET}::test_hours_that_end_where_the_clock_jumps_end_with_the_jump",
            f"{QUIET}::test_hours_that_end_in_the_hour_that_comes_twice_hold_twice",
            f"{QUIET}::test_every_minute_of_both_days_of_change_is_allowed_or_leads_to_one_that_is",
        ),
    ),
    36: (
        "SMTP cut after the dot",
        (f"{SMTP}::test_a_connection_cut_after_the_dot_leaves_one_in_doubt_and_the_next_unsent",),
    ),
    37: (
        "SMTP cut before the dot",
        (f"{SMTP}::test_a_connection_cut_inside_the_text_leaves_nothing_in_doubt",),
    ),
    38: (
        "a pipeline refused in part, 421 after ten",
        (
            f"{SMTP}::test_each_of_a_pipeline_gets_its_own_answer",
            f"{SMTP}::test_421_after_ten_messages_leaves_the_rest_for_the_next_connection",
        ),
    ),
    39: (
        "HTTP: no answer, or half of one",
        (
            f"{HTTP}::test_a_bad_answer_leaves_a_true_state_with_a_note",
            f"{HTTP}::test_a_lost_answer_is_asked_for_and_not_sent_again",
        ),
    ),
    40: (
        "the gateway lists late what it took",
        (f"{HTTP}::test_a_list_that_lags_settles_the_attempt_later",),
    ),
    41: ("the same id again", (f"{HTTP}::test_the_same_id_again_is_one_message",)),
    42: (
        "an SMPP link lost with ten outstanding",
        (
            "tests/smpp/test_sender.py::test_ten_outstanding_when_the_link_is_lost_are_settled_by_their_receipts",
        ),
    ),
    43: ("a slow gateway", (f"{FAULTS}::test_a_slow_gateway_is_not_a_broken_one",)),
    44: (
        "a half-open connection",
        (
            f"{WIRE}::test_an_old_connection_is_asked_before_a_message_is_entrusted_to_it",
            f"{WIRE}::test_a_connection_that_ended_between_two_batches_costs_nothing",
        ),
    ),
    45: (
        "a wrong login, no money",
        (
            f"{ACCOUNTS}::test_a_wrong_login_stops_the_account_at_once",
            f"{ACCOUNTS}::test_a_refusal_that_means_the_login_stops_the_account_and_costs_no_try",
            f"{HTTP}::test_without_money_the_account_stops",
        ),
    ),
    46: (
        "a gateway that comes and goes",
        (
            f"{ACCOUNTS}::test_a_rested_account_that_still_fails_rests_again_at_once",
            f"{ACCOUNTS}::test_while_one_message_is_under_way_no_other_window_opens",
        ),
    ),
    47: (
        "too many requests",
        (
            f"{HTTP}::test_too_many_requests_rest_the_account_as_long_as_was_said",
            f"{SENDING}::test_a_gateway_that_names_a_time_is_not_asked_earlier",
        ),
    ),
    48: (
        "a wave of spam refusals",
        (f"{SENDING}::test_two_spam_refusals_of_many_do_not_pause_but_a_wave_does",),
    ),
    49: (
        "paused or cancelled while sending",
        (f"{LOOK}::test_after_pause_or_cancel_is_confirmed_no_window_opens",),
    ),
    50: (
        "consent, death or block between plan and window",
        (
            f"{LOOK}::test_the_host_is_asked_once_more_just_before",
            f"{LOOK}::test_who_withdraws_while_others_are_sent_gets_nothing",
            f"{LOOK}::test_a_block_set_after_the_plan_holds",
        ),
    ),
    51: (
        "the host's adapter raises or hangs",
        (
            f"{LOOK}::test_a_host_that_does_not_answer_costs_nobody_a_try",
            f"{LOOK}::test_a_host_that_hangs_is_left_behind_and_holds_nothing_up",
            f"{LOOK}::test_no_transaction_is_open_while_others_are_asked",
        ),
    ),
    52: (
        "reports early, twice, reversed",
        (
            f"{INBOX}::test_in_any_order_and_three_times_over_the_end_is_the_same",
            f"{INBOX}::test_a_report_that_comes_while_its_message_is_handed_over_waits",
        ),
    ),
    53: (
        "reports forged, too big, without end",
        (
            f"{CALLBACKS}::test_a_forged_call_is_refused_and_nothing_of_it_is_kept",
            f"{CALLBACKS}::test_too_much_is_refused",
            f"{INBOX}::test_the_inbox_is_bounded",
        ),
    ),
    54: (
        "reports after sending again, after the window closed",
        (
            f"{INBOX}::test_late_word_of_an_earlier_attempt_stays_on_it",
            f"{ASKING}::test_a_window_that_closed_is_a_word_of_its_own_until_a_report_comes_all_the_same",
        ),
    ),
    55: (
        "a row that kills its worker",
        (
            f"{RUNS}::test_a_row_that_kills_workers_is_isolated_and_the_others_go_out",
            f"{RUNS}::test_a_run_that_was_killed_is_taken_over_without_waiting_for_its_lease",
        ),
    ),
    56: (
        "no memory left",
        (f"{FAULTS}::test_a_text_that_needs_too_much_memory_stops_itself_alone",),
    ),
    57: (
        "old and new code at once",
        (
            "tests/mounting/test_migrations_at_work.py::test_a_program_works_on_with_columns_a_newer_one_added",
            "tests/mounting/test_migrations_at_work.py::test_a_command_starts_where_the_tables_fit",
            "tests/mounting/test_migrations_at_work.py::test_what_takes_something_away_waits_until_the_workers_have_ended",
        ),
    ),
    58: (
        "the database restored from a backup",
        (
            "tests/engine/test_recovery.py::test_what_waited_in_the_backup_is_in_doubt_and_nothing_is_sent_twice",
        ),
    ),
    59: (
        "the budget reached in the middle of a window",
        (f"{CAPS}::test_a_cap_in_the_middle_of_a_window_stops_there_and_the_next_day_goes_on",),
    ),
}
