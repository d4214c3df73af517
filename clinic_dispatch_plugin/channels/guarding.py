"""Holds a channel to its contract where it is only asked something: what fails there costs an answer, never a page.

Opening, sending, signing in and reading what a gateway reports are not here: whoever asks for those says what a failure
means for a message or an account.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.channels.forms import GatewayForm
from clinic_dispatch_plugin.channels.types import (
    Answer,
    Capabilities,
    Cheaper,
    Content,
    ContentFields,
    Measure,
    TellsMoney,
)

log = logging.getLogger(__name__)

#: Told what failed, in one sentence without anybody's data.
Tell = Callable[[str], None]


class NoChannel(TypeError):
    """What a plugin gave for a channel is none; the text says why."""


def checked(channel: object) -> Channel:
    """What a plugin gave for a channel.

    :raises NoChannel: it is none, or what every page needs of it is not what it has to be.
    """
    if not isinstance(channel, Channel):
        raise NoChannel(f"{type(channel).__name__} is no Channel")
    kinds: dict[str, type] = {
        "key": str,
        "label": object,
        "fields": ContentFields,
        "capabilities": Capabilities,
        "silence_minutes": int,
    }
    for name, kind in kinds.items():
        if not isinstance(getattr(channel, name, None), kind):
            raise NoChannel(f"{type(channel).__name__}.{name} is no {kind.__name__}")
    return channel


def guard(channel: Channel, tell: Tell) -> None:
    """Let every question of the contract have a sound answer, whatever the channel does."""
    told: set[str] = set()
    for name, (kind, instead) in _QUESTIONS.items():
        asked = _guarded(channel, name, kind, instead, tell, told)
        object.__setattr__(channel, name, asked)


def _guarded(
    channel: Channel,
    name: str,
    kind: type,
    instead: Callable[..., Any],
    tell: Tell,
    told: set[str],
) -> Callable[..., Any]:
    own = vars(channel).get(name)
    own = getattr(own, "unguarded", own)  # another application has guarded it already

    def asked(*args: Any, **kw: Any) -> Any:
        try:
            answer = own(*args, **kw) if own else getattr(type(channel), name)(channel, *args, **kw)
            return _sound(answer, kind, many=name in _MANY)
        except InvalidAddress:
            raise
        except Exception as error:
            failure = f"{name}() fails: {type(error).__name__}"
            if failure not in told:
                told.add(failure)
                log.error("channel %s: %s at %s", channel.key, failure, _place(error))
                tell(failure)
        return instead(channel, *args, **kw)

    asked.unguarded = own  # type: ignore[attr-defined]
    return asked


def _sound(answer: object, kind: type, *, many: bool) -> object:
    if not many:
        if isinstance(answer, kind):
            return answer
        raise TypeError
    found = list(answer)  # type: ignore[call-overload]
    if all(isinstance(each, kind) for each in found):
        return found
    raise TypeError


def _place(error: Exception) -> str:
    """Where it failed, without its words, which may hold a patient's data or a password."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"


def _no_address(*_: object, **__: object) -> str:
    raise InvalidAddress(Answer(system="dispatch", code="malformed_address"))


def _length(_channel: Channel, content: Content) -> Measure:
    return Measure(characters=len(content.text))


def _nothing(*_: object, **__: object) -> Sequence[Any]:
    return ()


#: What a question is answered with, and what holds where it is not.
_QUESTIONS: dict[str, tuple[type, Callable[..., Any]]] = {
    "forms": (GatewayForm, _nothing),
    "capabilities_of": (Capabilities, lambda channel, _account: channel.capabilities),
    "normalise_address": (str, _no_address),
    "measure": (Measure, _length),
    "cheaper": (Cheaper, _nothing),
    "foresee": (Answer, _nothing),
    "tells_money": (TellsMoney, lambda *_: TellsMoney(balance=False, price=False)),
    "tariff": (str, lambda *_: ""),
}
_MANY = frozenset({"forms", "cheaper", "foresee"})
