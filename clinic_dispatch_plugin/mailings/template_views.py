"""The pages of templates: texts the clinic uses again."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from clinic_dispatch_plugin.channels.types import Purpose
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.mailings import drafts, forms, texts
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.problems import MailingProblem
from clinic_dispatch_plugin.mailings.sources import audiences
from clinic_dispatch_plugin.mailings.texts import MailingTemplate
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import N_
from clinic_dispatch_plugin.web.layout import render_page, said, url

NOTICES = {
    "added": N_("The template was added."),
    "changed": N_("The template was changed. Mailings that used it keep the words they had."),
    "archived": N_("The template was put away. You find it under “Put away”."),
    "back": N_("The template is in use again."),
}


def register(blueprint: Blueprint) -> None:
    """Add the pages to the blueprint."""
    both = ["GET", "POST"]
    one = "/templates/<int:template_id>"
    blueprint.add_url_rule("/templates", "templates", show_templates)
    blueprint.add_url_rule("/templates/new", "new_template", new, methods=both)
    blueprint.add_url_rule(one, "edit_template", edit, methods=both)
    blueprint.add_url_rule(f"{one}/archive", "archive_template", archive, methods=["POST"])


@requires(Action.COMPOSE)
def show_templates() -> Response:
    """All templates in use, or those put away."""
    put_away = request.args.get("archived") == "1"
    return render_page(
        "clinic_dispatch/mailings/templates.html",
        active="templates",
        templates=texts.templates(current_dispatch(), archived=put_away),
        put_away=put_away,
        notice=said(NOTICES, request.args.get("said")),
    )


@requires(Action.COMPOSE)
def new() -> ResponseReturnValue:
    """A new template."""
    if request.method == "GET":
        return _page(None)
    dispatch = current_dispatch()
    try:
        texts.create_template(
            dispatch,
            name=request.form.get("name", ""),
            purpose=request.form.get("purpose", ""),
            channel=request.form.get("channel", "") or _channels()[0][0],
            content=forms.content_sent(),
            actor=acting(),
        )
    except MailingProblem as error:
        return _page(None, error)
    return redirect(url("templates", said="added"), 303)


@requires(Action.COMPOSE)
def edit(template_id: int) -> ResponseReturnValue:
    """Change a template."""
    dispatch = current_dispatch()
    known = texts.template(dispatch, template_id)
    if request.method == "GET":
        return _page(known)
    try:
        texts.change_template(
            dispatch,
            template_id,
            name=request.form.get("name", ""),
            purpose=request.form.get("purpose", ""),
            content=forms.content_sent(),
            actor=acting(),
        )
    except MailingProblem as error:
        return _page(known, error)
    return redirect(url("templates", said="changed"), 303)


@requires(Action.COMPOSE)
def archive(template_id: int) -> ResponseReturnValue:
    """Put a template away, or take it back."""
    back = request.form.get("back") == "1"
    texts.archive_template(current_dispatch(), template_id, archived=not back)
    return redirect(url("templates", said="back" if back else "archived"), 303)


def _channels() -> list[tuple[str, str]]:
    dispatch = current_dispatch()
    keys = drafts.channels_to_choose(dispatch) or list(dispatch.channels)
    return forms.channel_choices(keys or [""])


def _page(known: MailingTemplate | None, error: MailingProblem | None = None) -> Response:
    sent = error is not None
    content = forms.content_sent() if sent else known.content if known else MailingContent()
    channels = _channels()
    channel = known.channel if known else request.form.get("channel", channels[0][0])
    names: dict[str, None] = {"name": None}
    for audience in audiences(current_dispatch().host):
        names.update(dict.fromkeys(audience.placeholders))
    return render_page(
        "clinic_dispatch/mailings/template.html",
        422 if error else 200,
        active="templates",
        known=known,
        name=request.form.get("name", "") if sent else known.name if known else "",
        purpose=request.form.get("purpose", "")
        if sent
        else known.purpose
        if known
        else Purpose.SERVICE.value,
        purposes=forms.purposes(),
        channel=channel,
        channels=channels,
        content=content,
        names=list(names),
        has_html=forms.has_html(channel) or known is None,
        has_subject=forms.has_subject(channel) or known is None,
        errors=forms.faults(error) if error else {},
    )
