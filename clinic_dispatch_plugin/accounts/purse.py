"""Asks gateways what is left and what messages would cost: never for longer than a page may wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clinic_dispatch_plugin.accounts.spending_rules import storable_money
from clinic_dispatch_plugin.channels.errors import ChannelError
from clinic_dispatch_plugin.channels.types import Account, Money, OutgoingMessage
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds somebody waits for all answers together.
PATIENCE = 3.0
#: Seconds an answer is believed.
FRESH = 60.0
#: Answers that are kept.
_MOST = 500
_CACHE = "purse"


@dataclass(slots=True)
class _Question:
    """One thing a gateway is asked, in a thread of its own; whoever comes later waits for the same one."""

    done: threading.Event
    at: float
    answer: Money | None = None


def balance(dispatch: Dispatch, account: Account, *, patience: float = PATIENCE) -> Money | None:
    """What is left on an account; None: the gateway does not say, or not in time."""
    [found] = balances(dispatch, [account], patience=patience)
    return found


def balances(
    dispatch: Dispatch, several: Sequence[Account], *, patience: float = PATIENCE
) -> list[Money | None]:
    """What is left on each, all asked at once."""
    questions = [
        _asked(dispatch, (each.channel, each.key, "balance"), _balance(dispatch, each))
        if dispatch.channels[each.channel].tells_money(each).balance
        else None
        for each in several
    ]
    return _answers(questions, patience)


def forget_balances(dispatch: Dispatch) -> None:
    """Ask anew next time: somebody may have topped an account up."""
    cache = _cache(dispatch)
    for key in [key for key in list(cache) if key[-1] == "balance"]:
        cache.pop(key, None)


def prices(
    dispatch: Dispatch,
    wanted: Sequence[tuple[Account, OutgoingMessage]],
    *,
    patience: float = PATIENCE,
) -> list[Money | None]:
    """What each of these messages would cost alone; None: the gateway does not say, or not in time.

    An account is asked for all of its messages over one sender, one after the other.
    """
    keys = [_key(account, message) for account, message in wanted]
    cache = _cache(dispatch)
    by_account: dict[tuple[str, str], list[tuple[tuple[Any, ...], Account, OutgoingMessage]]] = {}
    for key, (account, message) in zip(keys, wanted, strict=True):
        if _is_told(dispatch, account) and not _fresh(cache.get(key)):
            cache[key] = _Question(done=threading.Event(), at=time.monotonic())
            place = by_account.setdefault((account.channel, account.key), [])
            place.append((key, account, message))
    for several in by_account.values():
        _in_thread(dispatch, lambda several=several: _ask_prices(dispatch, several, cache))  # type: ignore[misc]
    said = _answers([cache.get(key) for key in keys], patience)
    return [
        _by_part(dispatch, account, message) or price
        for (account, message), price in zip(wanted, said, strict=True)
    ]


def quoted_part(dispatch: Dispatch, account: Account, message: OutgoingMessage) -> Money | None:
    """What one part of a message like this costs, as the gateway says."""
    [price] = prices(dispatch, [(account, message)])
    if price is None:
        return None
    parts = max(1, dispatch.channels[account.channel].measure(message.content).parts)
    return Money(amount=price.amount / parts, currency=price.currency)


def _is_told(dispatch: Dispatch, account: Account) -> bool:
    tells = dispatch.channels[account.channel].tells_money(account).price
    return tells and account.part_price is None


def _by_part(dispatch: Dispatch, account: Account, message: OutgoingMessage) -> Money | None:
    """What the clinic itself says that it costs."""
    if account.part_price is None:
        return None
    parts = max(1, dispatch.channels[account.channel].measure(message.content).parts)
    return Money(amount=account.part_price.amount * parts, currency=account.part_price.currency)


def _key(account: Account, message: OutgoingMessage) -> tuple[Any, ...]:
    return account.channel, account.key, message.address, hash(message.content.text)


def _cache(dispatch: Dispatch) -> dict[tuple[Any, ...], _Question]:
    cache: dict[tuple[Any, ...], _Question] = dispatch.cache.setdefault(_CACHE, {})
    if len(cache) > _MOST:
        cache.clear()
    return cache


def _fresh(question: _Question | None) -> bool:
    return question is not None and time.monotonic() - question.at < FRESH


def _asked(dispatch: Dispatch, key: tuple[Any, ...], ask: Callable[[], Money | None]) -> _Question:
    cache = _cache(dispatch)
    found = cache.get(key)
    if found is not None and _fresh(found):
        return found
    question = cache[key] = _Question(done=threading.Event(), at=time.monotonic())

    def work() -> None:
        try:
            question.answer = storable_money(ask())
        finally:
            question.done.set()

    _in_thread(dispatch, work)
    return question


def _answers(questions: Sequence[_Question | None], patience: float) -> list[Money | None]:
    end = time.monotonic() + patience
    found: list[Money | None] = []
    for each in questions:
        in_time = each is not None and each.done.wait(max(0.0, end - time.monotonic()))
        found.append(each.answer if each is not None and in_time else None)
    return found


def _in_thread(dispatch: Dispatch, work: Callable[[], object]) -> None:
    def guarded() -> None:
        try:
            with dispatch.app_context():
                work()
        except ChannelError as error:
            log.info("a gateway did not tell about money: %s", error.answer.code)
        except Exception as error:
            log.error("a channel failed when asked about money: %s", places(error))

    threading.Thread(target=guarded, name="dispatch-money", daemon=True).start()


def _balance(dispatch: Dispatch, account: Account) -> Callable[[], Money | None]:
    def ask() -> Money | None:
        with dispatch.channels[account.channel].open(account) as sender:
            return sender.balance()

    return ask


def _ask_prices(
    dispatch: Dispatch,
    several: Sequence[tuple[tuple[Any, ...], Account, OutgoingMessage]],
    cache: Mapping[tuple[Any, ...], _Question],
) -> None:
    questions = [cache[key] for key, _, _ in several]
    try:
        account = several[0][1]
        with dispatch.channels[account.channel].open(account) as sender:
            for question, (_, _, message) in zip(questions, several, strict=True):
                question.answer = storable_money(sender.price([message]))
                question.done.set()
    finally:
        for question in questions:
            question.done.set()
