"""Finds plugins and holds what one application's mailings are made of; one that fails to import is left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from flask import Flask, current_app
from sqlalchemy import Connection

from clinic_dispatch_plugin import hookspecs
from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.guarding import NoChannel, checked, guard
from clinic_dispatch_plugin.channels.reference import ReferencePack
from clinic_dispatch_plugin.channels.types import Account, DeliveryReport
from clinic_dispatch_plugin.config import PREFIX, ConfigurationError, Settings, merged
from clinic_dispatch_plugin.database.connection import Database
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.queue.doorbell import Doorbell
from clinic_dispatch_plugin.quiet_hours import QuietHours

log = logging.getLogger(__name__)

GROUP = "clinic_dispatch.plugins"
EXTENSION = "clinic_dispatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """A plugin as the doctor lists it; ``problem`` says why one was left out."""

    name: str
    distribution: str
    problem: str = ""
    #: Somebody wants it left out.
    blocked: bool = False
    #: Its setting is wrong, or another plugin brings the same channel: nothing of it needs repair.
    by_configuration: bool = False
    #: It fails on some questions only: its channels are used all the same.
    in_use: bool = False


def _not_mounted(*_: Any, **__: Any) -> int:
    raise RuntimeError("ClinicDispatch().init_app has not built this object")


def _not_kept(*_: Any) -> None:
    raise RuntimeError("nobody keeps what gateways report")


def _none_kept() -> None:
    return None


def _nothing_awaited(*_: Any) -> dict[int, datetime]:
    return {}


@dataclass(slots=True, kw_only=True)
class Dispatch:
    """Everything of one application: built once by ``init_app``, kept in ``app.extensions``."""

    settings: Settings
    database: Database
    host: HostAdapter
    doorbell: Doorbell
    plugins: pluggy.PluginManager
    loaded: Sequence[LoadedPlugin]
    channels: Mapping[str, Channel]
    #: Whether somebody gave an adapter; without one nobody may do anything.
    has_host: bool = True
    #: An application context of this application.
    app_context: Callable[[], AbstractContextManager[object]] = nullcontext
    #: Work to be done now and then, by any worker.
    housekeeping: list[Callable[[], object]] = field(default_factory=list)
    #: Work of every few minutes that may wait for a server elsewhere: seconds between two rounds, and the work.
    rounds: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    #: Sends for host code, inside its own transaction: ``mailings.sending.send`` with this object in front.
    send: Callable[..., int] = _not_mounted
    #: Until when the workers of these attempts may still say what became of them; the engine's answer.
    awaited_until: Callable[[Connection, Iterable[int]], Mapping[int, datetime]] = _nothing_awaited
    #: Keeps what a gateway reports by itself while something is sent: channel, account's row, report.
    hear: Callable[[str, int, DeliveryReport], None] = _not_kept
    #: The accounts that people set up on the settings page, by channel; the accounts' answer.
    added_accounts: Callable[[], Mapping[str, Sequence[Account]]] = dict
    #: Every ``CLINIC_DISPATCH_*`` as the plugins were given it.
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Quiet hours somebody keeps elsewhere than in the settings; None: those of the settings hold.
    kept_quiet_hours: Callable[[], QuietHours | None] = _none_kept
    #: Caches of the concerns, by name.
    cache: dict[str, Any] = field(default_factory=dict)

    def quiet_hours(self) -> QuietHours:
        """When nothing goes out, by purpose and channel."""
        kept = self.kept_quiet_hours()
        return self.settings.quiet_hours if kept is None else kept

    def accounts(self, channel: str, purpose: str = "") -> list[Account]:
        """The channel's accounts that take this purpose, the first choice first; empty: any that there is.

        Those of the configuration come first, and win where one of the settings page has the same name.
        """
        if channel not in self.channels:
            return []
        configured = self.configured(channel)
        names = {each.key for each in configured}
        added = [each for each in self.added_accounts().get(channel, ()) if each.key not in names]
        return [each for each in [*configured, *added] if each.takes(purpose)]

    def configured(self, channel: str) -> list[Account]:
        """Those of the configuration alone; a channel that fails on the question has none."""
        found = self.channels.get(channel)
        try:
            return list(found.accounts()) if found is not None else []
        except Exception:
            log.exception("channel %s cannot say its accounts", channel)
            return []

    def account(self, channel: str, purpose: str = "") -> Account | None:
        """The account that is the channel's first choice for this purpose; None: none is configured."""
        return next(iter(self.accounts(channel, purpose)), None)

    def account_called(self, channel: str, key: str) -> Account | None:
        """The channel's account of this name; None: it is not configured here."""
        return next((each for each in self.accounts(channel) if each.key == key), None)

    def account_at(self, channel: str, url: str, *, key: str) -> Account:
        """The account that a URL of the settings page describes.

        :raises ConfigurationError: something is wrong or missing.
        """
        allowed = self.settings.private_gateways
        try:
            found = self.channels[channel].account_at(url, key=key, allowed=allowed)
        except NotImplementedError:
            found = self._account_by_hook(channel, url)
        return replace(found, channel=channel, key=key)

    def _account_by_hook(self, channel: str, url: str) -> Account:
        """What its plugin makes of the URL where it stands in the channel's one variable."""
        name = f"{PREFIX}{channel.upper()}_URL"
        config = {**self.config, name: url}
        for _, plugin in self.plugins.list_name_plugin():
            for made in _asked_alone(self.plugins, plugin, config) if plugin is not None else ():
                accounts = made.accounts() if made.key == channel else ()
                if accounts and accounts[0] not in self.channels[channel].accounts():
                    return accounts[0]
        raise ConfigurationError(name, None, f"the channel {channel!r} makes no account of this.")

    def reference_packs(self) -> list[ReferencePack]:
        """All packs of all plugins; of two with the same key the last one."""
        packs: dict[str, ReferencePack] = {}
        for name, plugin in self.plugins.list_name_plugin():
            for pack in self._packs_of(name, plugin) if plugin is not None else ():
                if pack.key in packs:
                    log.warning(
                        "two plugins bring the reference pack %s; the last one holds", pack.key
                    )
                packs[pack.key] = pack
        return list(packs.values())

    def _packs_of(self, name: str, plugin: object) -> list[ReferencePack]:
        """One plugin's packs: asked alone, so that one that fails costs nobody else theirs."""
        others = [other for other in self.plugins.get_plugins() if other is not plugin]
        ask = self.plugins.subset_hook_caller("clinic_dispatch_reference_packs", others)
        try:
            return [pack for several in ask() for pack in several]
        except (Exception, SystemExit) as error:
            log.exception("plugin %s cannot say what its errors mean", name)
            problem = f"its reference cannot be used: {type(error).__name__}: {error}"
            self.note_problem(name, problem)
            return []

    def note_problem(self, name: str, problem: str) -> None:
        """A plugin failed: the doctor and the settings page name it."""
        self.loaded = [
            replace(each, problem=problem) if each.name == name else each for each in self.loaded
        ]


def current_dispatch() -> Dispatch:
    """The one of the current application.

    :raises RuntimeError: ``ClinicDispatch().init_app(app, …)`` was not called for it.
    """
    found = current_app.extensions.get(EXTENSION)
    if found is None:
        raise RuntimeError(
            "this application has no dispatch: call ClinicDispatch().init_app(app, db=db, host=…) in its factory"
        )
    assert isinstance(found, Dispatch)
    return found


def load_plugins(
    blocked: frozenset[str], *, more: Sequence[object] = ()
) -> tuple[pluggy.PluginManager, list[LoadedPlugin]]:
    """A manager with every installed plugin, each loaded in a ``try`` of its own, and ``more`` ones given by hand.

    :raises pluggy.PluginValidationError: a hook is misspelt or takes an argument that does not exist.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    loaded = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in blocked:
            manager.set_blocked(point.name)
            problem = "blocked by CLINIC_DISPATCH_BLOCKED_PLUGINS"
            loaded.append(replace(_described(point, problem), blocked=True))
        elif not manager.has_plugin(point.name):
            loaded.append(_load(manager, point))
    for plugin in more:
        manager.register(plugin)
    manager.check_pending()
    return manager, loaded


def _load(manager: pluggy.PluginManager, point: EntryPoint) -> LoadedPlugin:
    try:
        plugin = point.load()
    except (Exception, SystemExit) as error:
        log.exception("plugin %s cannot be imported and is left out", point.name)
        return _described(point, f"cannot be imported: {type(error).__name__}: {error}")
    try:
        manager.register(plugin, name=point.name)
        manager.check_pending()
    except Exception as error:
        log.exception("plugin %s has a wrong hook and is left out", point.name)
        manager.set_blocked(point.name)
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        return _described(point, f"has a wrong hook: {error}")
    return _described(point)


def _described(point: EntryPoint, problem: str = "") -> LoadedPlugin:
    dist = point.dist
    return LoadedPlugin(
        name=point.name,
        distribution=f"{dist.name} {dist.version}" if dist else "unknown distribution",
        problem=problem,
    )


#: Who brings a channel: the host itself, a plugin of ours, another that is installed.
_BY_HAND, _OURS, _OTHERS = range(3)


def collect_channels(
    manager: pluggy.PluginManager, app: Flask, loaded: list[LoadedPlugin]
) -> dict[str, Channel]:
    """Every channel of every plugin by its key; what fails here is left out, and ``loaded`` says so.

    A wrong setting is said loudly and costs its own plugin's channels; the host and the other channels go on.
    """
    channels: dict[str, Channel] = {}
    brought: dict[str, str] = {}
    config = merged(app.config)
    for name, plugin in sorted(
        manager.list_name_plugin(), key=lambda each: _precedence(each[0], loaded)
    ):
        if plugin is None:  # a blocked name
            continue
        for channel in _channels_of(manager, name, plugin, config, loaded):
            if channel.key in channels:
                if _precedence(brought[channel.key], loaded) == _BY_HAND:
                    log.info("the application's own channel %s holds", channel.key)
                    continue
                problem = (
                    f"two plugins bring the channel {channel.key!r}, and that of {brought[channel.key]} is used; "
                    "write the name of one of them into CLINIC_DISPATCH_BLOCKED_PLUGINS."
                )
                log.error("plugin %s: %s", name, problem)
                _note(loaded, name, problem, by_configuration=True)
                continue
            channels[channel.key], brought[channel.key] = channel, name
            guard(channel, partial(_fails_now, loaded, name, channel.key))
    return {key: channels[key] for key in sorted(channels, key=_order(manager, brought))}


def _precedence(name: str, loaded: Sequence[LoadedPlugin]) -> int:
    """Of two that bring one channel the lower holds.

    What the host hands over means just that, and what somebody installed takes no channel away that was there before.
    """
    found = next((each for each in loaded if each.name == name), None)
    if found is None:
        return _BY_HAND
    return _OURS if found.distribution.startswith("clinic-dispatch-plugin ") else _OTHERS


def _order(manager: pluggy.PluginManager, brought: Mapping[str, str]) -> Callable[[str], int]:
    """Channels stand in the order of their plugins."""
    names = [name for name, _ in manager.list_name_plugin()]
    return lambda key: names.index(brought[key])


def _note(
    loaded: list[LoadedPlugin],
    name: str,
    problem: str,
    *,
    by_configuration: bool = False,
    in_use: bool = False,
) -> None:
    """Write down what is wrong with a plugin; one that was given by hand is added for it."""
    if name not in {each.name for each in loaded}:
        loaded.append(LoadedPlugin(name=name, distribution="given by hand"))
    loaded[:] = [
        replace(each, problem=problem, by_configuration=by_configuration, in_use=in_use)
        if each.name == name
        else each
        for each in loaded
    ]


def _fails_now(loaded: list[LoadedPlugin], name: str, channel: str, what: str) -> None:
    """A channel fails on a question: its plugin is named, and goes on being used."""
    _note(loaded, name, f"channel {channel}: {what}", in_use=True)


def _channels_of(
    manager: pluggy.PluginManager,
    name: str,
    plugin: object,
    config: Mapping[str, Any],
    loaded: list[LoadedPlugin],
) -> list[Channel]:
    """One plugin's channels: asked alone, since an exception would end the call for all others."""
    try:
        return _asked_alone(manager, plugin, config)
    except ConfigurationError as error:
        log.error("the channels of plugin %s are left out: %s", name, error.message)
        _note(loaded, name, error.message, by_configuration=True)
        return []
    except (Exception, SystemExit) as error:
        # Its words may hold what stands in the configuration.
        log.error("plugin %s cannot say its channels and is left out: %s", name, places(error))
        kind = str(error) if isinstance(error, NoChannel) else type(error).__name__
        _note(loaded, name, f"its channels cannot be used: {kind}")
        return []


def _asked_alone(
    manager: pluggy.PluginManager, plugin: object, config: Mapping[str, Any]
) -> list[Channel]:
    others = [other for other in manager.get_plugins() if other is not plugin]
    ask = manager.subset_hook_caller("clinic_dispatch_channels", remove_plugins=others)
    return [checked(channel) for several in ask(config=config) for channel in several]
