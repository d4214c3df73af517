"""The settings page: accounts by channel; adding, changing, testing, ordering and switching them off."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.accounts import setup
from clinic_dispatch_plugin.accounts.setup import Wanted
from clinic_dispatch_plugin.channels.forms import GatewayForm
from clinic_dispatch_plugin.config import PREFIX, PURPOSES
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages.timeline import REPORTED
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.settings import (
    forms,
    quiet,
    quiet_form,
    quiet_views,
    service,
    showing,
    wording,
)
from clinic_dispatch_plugin.settings.forms import Typed
from clinic_dispatch_plugin.settings.showing import Shown
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.layout import render_page, said, url

FOLDER = "clinic_dispatch/settings"
#: Seconds until a page looks again whether a test has ended.
LOOK_AGAIN = "2"


def register(blueprint: Blueprint) -> None:
    """Add the pages to the blueprint."""
    quiet_views.register(blueprint)
    add = blueprint.add_url_rule
    add("/settings", "settings", show_list)
    add("/settings/new/<channel>", "new_account", new_account)
    add("/settings/new/<channel>", "add_account", add_account, methods=["POST"])
    one = "/settings/accounts/<channel>/<account>"
    add(one, "account", show_account)
    add(one, "change_account", change_account, methods=["POST"])
    add(f"{one}/test", "test_account", test_account, methods=["POST"])
    add(f"{one}/switch", "switch_account", switch_account, methods=["POST"])
    add(f"{one}/again", "account_again", account_again, methods=["POST"])
    add(f"{one}/move", "move_account", move_account, methods=["POST"])
    add(f"{one}/callback", "new_callback", new_callback, methods=["POST"])
    add(f"{one}/remove", "remove_account", remove_account, methods=["POST"])


@requires(Action.CONFIGURE)
def show_list() -> Response:
    """Every channel with its accounts."""
    dispatch = current_dispatch()
    return render_page(
        f"{FOLDER}/list.html",
        active="settings",
        channels=showing.channels(dispatch),
        keys_set=bool(dispatch.settings.secret_keys),
        left_out=[each for each in dispatch.loaded if each.problem],
        quiet=quiet_form.summary(dispatch.quiet_hours()),
        quiet_variable=quiet.VARIABLE if quiet.configured(dispatch) else "",
        wording=wording,
        notice=said(wording.SAID, request.args.get("said")),
    )


@requires(Action.CONFIGURE)
def new_account(channel: str) -> Response:
    """Which gateway, and then its form."""
    form = _form_for_new(channel)
    typed = Typed(purposes=[])
    return _new(channel, form, typed, name=_free_name(channel, form))


@requires(Action.CONFIGURE)
def add_account(channel: str) -> AnyResponse:
    """Set it up."""
    form = _form_for_new(channel)
    if form is None:
        abort(400)
    dispatch = current_dispatch()
    typed = forms.read(form, {})
    taken = [each.key for each in _accounts_of(channel)]
    name = forms.read_name(taken, typed)
    address = forms.check(dispatch, channel, name, form, typed)
    if not dispatch.settings.secret_keys:
        typed.fault("form", _no_key())
    if not typed.errors:
        try:
            service.add(dispatch, acting(), channel, name, _wanted(form, typed, address))
        except LookupError:
            words_ = _("This channel has an account of this name already.")
            typed.fault("name", words_)
        else:
            return redirect(_to(channel, name, "added"), 303)
    return _new(channel, form, typed, name=name)


def _new(channel: str, form: GatewayForm | None, typed: Typed, *, name: str) -> Response:
    dispatch = current_dispatch()
    return render_page(
        f"{FOLDER}/new.html",
        422 if typed.errors else 200,
        active="settings",
        channel=channel,
        forms=showing.forms_of(dispatch, channel),
        form=form,
        values=typed.shown(form) if form else {},
        name=name,
        purposes=typed.purposes or list(PURPOSES),
        purpose_names=PURPOSES,
        errors=typed.errors,
        labels={**_labels(channel, form), "name": _("Name")},
        keys_set=bool(dispatch.settings.secret_keys),
        secrets_at={},
        version="",
        wording=wording,
    )


def _form_for_new(channel: str) -> GatewayForm | None:
    dispatch = current_dispatch()
    if channel not in dispatch.channels:
        abort(404)
    several = showing.forms_of(dispatch, channel)
    if len(several) < 2:
        return several[0]
    scheme = request.form.get("scheme") or request.args.get("scheme", "")
    return showing.form_of(dispatch, channel, scheme)


def _free_name(channel: str, form: GatewayForm | None) -> str:
    """A name for the form to begin with: the gateway's, with a number where it is taken."""
    base = (form.scheme if form is not None else "").partition("+")[0] or "main"
    taken = {each.key for each in _accounts_of(channel)}
    names = [base, *(f"{base}-{number}" for number in range(2, 100))]
    return next((name for name in names if name not in taken), "")


def _accounts_of(channel: str) -> list[Shown]:
    found = [each for each in showing.channels(current_dispatch()) if each.key == channel]
    return list(found[0].accounts) if found else []


@requires(Action.CONFIGURE)
def show_account(channel: str, account: str) -> Response:
    """One account: its state, its form where it was set up here, its last reports, its trail."""
    shown = _shown(channel, account)
    response = _one(shown, _typed_as(shown))
    if shown.trial is not None and shown.trial.outcome == "running":
        response.headers["Refresh"] = LOOK_AGAIN
    return response


@requires(Action.CONFIGURE)
def change_account(channel: str, account: str) -> AnyResponse:
    """Set it up anew; a secret that is left empty stays."""
    dispatch, shown = current_dispatch(), _shown(channel, account)
    form = _form(shown)
    if shown.setup is None or form is None:
        abort(404)
    known = setup.opened(dispatch, shown.setup)
    typed = forms.read(form, known if form.scheme else _whole(shown))
    address = forms.check(dispatch, channel, account, form, typed)
    if not dispatch.settings.secret_keys:
        typed.fault("form", _no_key())
    if typed.errors:
        return _one(shown, typed)
    changed = _changed(shown, form, known, typed)
    if not changed:
        return redirect(_to(channel, account, "same"), 303)
    try:
        service.change(
            dispatch,
            acting(),
            shown.setup["account_id"],
            _wanted(form, typed, address),
            version=request.form.get("version", ""),
            fields=changed,
        )
    except service.Changed:
        typed.fault("form", _("Somebody else changed this account meanwhile. Look at it anew."))
        return _one(shown, typed)
    return redirect(_to(channel, account, "changed"), 303)


def _changed(shown: Shown, form: GatewayForm, known: Mapping[str, str], typed: Typed) -> list[str]:
    """The fields that are not as they were, by name."""
    fields = [each.key for each in form.fields]
    found = [key for key in fields if typed.values.get(key, "") != known.get(key, "")]
    if not form.scheme:
        found = sorted(typed.fresh)
    if frozenset(typed.purposes) != shown.purposes:
        found.append(wording.PURPOSES_FIELD)
    return found


def _whole(shown: Shown) -> dict[str, str]:
    assert shown.setup is not None
    address = setup.whole_url(current_dispatch(), shown.setup)
    return {forms.URL_FIELD: address} if address else {}


def _wanted(form: GatewayForm, typed: Typed, address: str) -> Wanted:
    who = acting()
    return Wanted(
        url=address,
        purposes=typed.purposes,
        typed=frozenset(typed.fresh),
        secrets=frozenset(key for key in form.secrets if typed.values.get(key)),
        by=who.name or who.ref,
    )


@requires(Action.CONFIGURE)
def test_account(channel: str, account: str) -> AnyResponse:
    """Sign in and out again; a test that takes long is looked at again and again."""
    shown = _shown(channel, account)
    if shown.account is None:
        abort(404)
    service.sign_in(current_dispatch(), acting(), shown.account)
    return redirect(url("account", channel=channel, account=account) + "#test", 303)


@requires(Action.CONFIGURE)
def switch_account(channel: str, account: str) -> AnyResponse:
    """Off or on."""
    shown, on = _shown(channel, account), request.form.get("on") == "1"
    done = service.switch(current_dispatch(), acting(), shown.channel, shown.key, on=on)
    key = "same" if not done else "on" if on else "off"
    return redirect(_to(channel, account, key), 303)


@requires(Action.CONFIGURE)
def account_again(channel: str, account: str) -> AnyResponse:
    """What stopped it is mended."""
    shown = _shown(channel, account)
    done = service.try_again(current_dispatch(), acting(), shown.channel, shown.key)
    return redirect(_to(channel, account, "again" if done else "ready"), 303)


@requires(Action.CONFIGURE)
def move_account(channel: str, account: str) -> AnyResponse:
    """One place up or down in its channel."""
    shown = _shown(channel, account)
    if shown.setup is None:
        abort(404)
    up = request.form.get("to") == "up"
    done = service.move(current_dispatch(), acting(), shown.setup["account_id"], up=up)
    place = f"#{channel}-{account}"
    return redirect(url("settings", said="moved" if done else "edge") + place, 303)


@requires(Action.CONFIGURE)
def remove_account(channel: str, account: str) -> AnyResponse:
    """Forget how it signs in; what went through it keeps its history."""
    shown = _shown(channel, account)
    if shown.setup is None:
        abort(404)
    done = service.remove(current_dispatch(), acting(), shown.setup["account_id"])
    return redirect(url("settings", said="removed" if done else "gone"), 303)


@requires(Action.CONFIGURE)
def new_callback(channel: str, account: str) -> AnyResponse:
    """A new secret address for delivery reports, shown this once."""
    shown = _shown(channel, account)
    base = current_dispatch().settings.base_url
    if shown.account is None or not base:
        abort(404)
    made = service.new_callback(
        current_dispatch(),
        acting(),
        shown.account,
        address=lambda secret: (
            base + url("secret_callback", channel=channel, account=account, secret=secret)
        ),
    )
    shown = _shown(channel, account)
    return _one(shown, _typed_as(shown), made=made)


def _shown(channel: str, account: str) -> Shown:
    try:
        return showing.one(current_dispatch(), channel, account)
    except LookupError:
        abort(404)


def _form(shown: Shown) -> GatewayForm | None:
    if shown.setup is None:
        return None
    return showing.form_of(current_dispatch(), shown.channel, shown.setup["scheme"])


def _labels(channel: str, form: GatewayForm | None) -> dict[str, str]:
    """What the fields are called, for the list of what is wrong and the trail of changes."""
    fields = form.fields if form is not None else ()
    found = {each.key: words.of_channel(channel, each.label) for each in fields}
    return {**found, wording.PURPOSES_FIELD: _("What may go through it")}


def _typed_as(shown: Shown) -> Typed:
    """The form as the account stands."""
    values = setup.opened(current_dispatch(), shown.setup) if shown.setup is not None else {}
    return Typed(values=values, purposes=sorted(shown.purposes))


def _one(shown: Shown, typed: Typed, *, made: str = "") -> Response:
    """The page of one account.

    :param made: the address for reports that was made just now.
    """
    dispatch, form = current_dispatch(), _form(shown)
    return render_page(
        f"{FOLDER}/account.html",
        422 if typed.errors else 200,
        active="settings",
        shown=shown,
        form=form,
        values=typed.shown(form) if form else {},
        purposes=typed.purposes or list(PURPOSES),
        purpose_names=PURPOSES,
        errors=typed.errors,
        keys_set=bool(dispatch.settings.secret_keys),
        secrets_at=dict(shown.setup["secrets_at"] or {}) if shown.setup is not None else {},
        version=shown.setup["changed_at"].isoformat() if shown.setup is not None else "",
        name=shown.key,
        details=showing.details(dispatch, shown),
        labels=_labels(shown.channel, form),
        calls=showing.calls(dispatch, shown),
        made=made,
        reported=REPORTED,
        words=words,
        wording=wording,
        notice=said(wording.SAID, request.args.get("said")),
    )


def _to(channel: str, account: str, key: str) -> str:
    return url("account", channel=channel, account=account, said=key)


def _no_key() -> str:
    return _(
        "Nothing can be kept encrypted: {name} is not set. The settings page says how.",
        name=f"{PREFIX}SECRET_KEYS",
    )
