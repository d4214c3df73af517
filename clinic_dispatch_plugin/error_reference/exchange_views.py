"""The pages by which the reference goes out as a file and comes in again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.error_reference import (
    following_views,
    importing,
    kept_files,
    sheet_columns,
    wording,
)
from clinic_dispatch_plugin.error_reference.bytes_read import MOST_BYTES, FileFault
from clinic_dispatch_plugin.error_reference.carrying import Plan, Refused, Verb
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER, who_acts
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import MIB, requires
from clinic_dispatch_plugin.web.i18n import N_, _, language, n_, zone
from clinic_dispatch_plugin.web.layout import render_page, url
from clinic_dispatch_plugin.web.menu import forget_badge
from clinic_dispatch_plugin.web.params import choice_arg, text_arg

#: Rows of each kind that a page shows before somebody asks for all.
FIRST_ROWS = 100
#: Characters of a text that a table shows.
SHOWN_TEXT = 300
_KINDS = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
_GONE = N_("This file is not kept any more. Choose it once more.")


def register(blueprint: Blueprint) -> None:
    """Add these pages to the blueprint."""
    add = blueprint.add_url_rule
    add("/errors/files", "reference_files", show)
    add("/errors/files", "add_reference_file", take, methods=["POST"])
    add("/errors/files/export", "export_reference", export)
    add("/errors/files/import", "look_at_import", look)
    add("/errors/files/import", "import_reference", apply, methods=["POST"])
    add("/errors/files/undo", "undo_import", undo, methods=["POST"])


@requires(Action.VIEW)
def show() -> Response:
    """Both directions on one page, and the latest imports."""
    return _page({})


def _page(errors: Mapping[str, str], status: int = 200) -> Response:
    return render_page(
        f"{FOLDER}/files.html",
        status,
        active="reference",
        errors=errors,
        imports=importing.last_imports(current_dispatch()),
        most=MOST_BYTES // MIB,
        notice=_notice(),
    )


def _notice() -> str:
    """The sentence after a redirect, with its numbers."""
    key, count, left = text_arg("said", limit=10), _count("n"), _count("left")
    if key == "imported":
        return n_(
            "Imported: {n} entry was added or changed. Earlier messages explain themselves anew.",
            "Imported: {n} entries were added or changed. Earlier messages explain themselves anew.",
            count,
        )
    if key != "undone":
        return ""
    done = n_(
        "Taken back: {n} entry is as it was before the import.",
        "Taken back: {n} entries are as they were before the import.",
        count,
    )
    stays = n_(
        "{n} entry was changed again since and stays as it is.",
        "{n} entries were changed again since and stay as they are.",
        left,
    )
    return f"{done} {stays}" if left else done


def _count(name: str) -> int:
    said = text_arg(name, limit=9)
    return int(said) if said.isascii() and said.isdigit() else 0


@requires(Action.VIEW)
def export() -> Response:
    """The reference as a file."""
    kind = choice_arg("kind", _KINDS, default="jsonl")
    own_only = choice_arg("which", ("all", "own"), default="all") == "own"
    pieces = importing.exported(current_dispatch(), kind, language=language(), own_only=own_only)
    response = Response(_encoded(pieces), mimetype=_KINDS[kind])
    day = datetime.now(tz=zone()).date().isoformat()
    name = f"{_('mailing-errors')}-{day}.{kind}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _encoded(pieces: Iterable[str]) -> Iterable[bytes]:
    return (piece.encode() for piece in pieces)


@requires(Action.EDIT_REFERENCE, max_body=MOST_BYTES + MIB)
def take() -> AnyResponse:
    """Keep a file that somebody chose, and show what it would do."""
    dispatch = current_dispatch()
    chosen = request.files.get("file")
    if chosen is None or not chosen.filename:
        return _page({"file": _("Please choose a file.")}, 422)
    try:
        key = kept_files.keep(dispatch, chosen.stream)
    except FileFault as fault:
        return _page({"file": _said(fault)}, 422)
    try:
        with kept_files.opened(dispatch, key) as stream:
            importing.planned(dispatch, stream)
    except FileFault as fault:
        kept_files.remove(dispatch, key)
        return _page({"file": _said(fault)}, 422)
    return redirect(url("look_at_import", file=key), 303)


def _said(fault: FileFault) -> str:
    said = f"{_(fault.message, **fault.fields)} {_(fault.advice, **fault.fields)}"
    return f"{said} {_('Nothing was changed.')}"


@requires(Action.EDIT_REFERENCE)
def look() -> AnyResponse:
    """What a file that is kept would do."""
    if "file" not in request.args:
        return redirect(url("reference_files"), 303)
    key = text_arg("file", limit=40)
    try:
        with kept_files.opened(current_dispatch(), key) as stream:
            plan = importing.planned(current_dispatch(), stream)
    except LookupError:
        return _page({"file": _(_GONE)}, 404)
    return _plan_page(plan, key)


def _plan_page(plan: Plan, key: str, *, status: int = 200, overtaken: bool = False) -> Response:
    whole = choice_arg("rows", ("all",)) == "all"
    return render_page(
        f"{FOLDER}/import.html",
        status,
        active="reference",
        plan=plan,
        counts=plan.counts,
        key=key,
        most=None if whole else FIRST_ROWS,
        overtaken=overtaken,
        added=plan.of(Verb.ADDED),
        changed=plan.of(Verb.CHANGED),
        wording=wording,
        cell=cell_name,
        value=shown_value,
        note=lambda deed: deed.notes.get(language()) or next(iter(deed.notes.values()), ""),
        reason=_reason,
    )


def cell_name(field: str) -> str:
    """A cell as its column is called."""
    column = sheet_columns.BY_NAME.get(field)
    if column is not None:
        return column.heading(language())
    return {"row": _("Whole row"), "short": wording.field("short")}.get(field, field)


def shown_value(field: str, value: Any) -> str:
    """A field's value as the spreadsheet has it; long ones are cut."""
    if isinstance(value, bool) and field == "retired":
        return sheet_columns.switch(value, language())
    column = sheet_columns.BY_NAME.get(field)
    said = sheet_columns.cell(column, value, language()) if column else str(value)
    return f"{said[:SHOWN_TEXT]}…" if len(said) > SHOWN_TEXT else said


def _reason(each: Refused) -> str:
    fields = dict(each.why.fields)
    column = sheet_columns.BY_NAME.get(each.why.field)
    if "choices" in fields and column is not None:
        fields["choices"] = sheet_columns.choices_in_words(column.name, language())
    return _(each.why.message, **fields)


@requires(Action.EDIT_REFERENCE)
def apply() -> AnyResponse:
    """Do what was shown; where something else would be done by now, show that first."""
    dispatch = current_dispatch()
    key = request.form.get("file", "")[:40]
    page, changes = following_views.asked(
        partial(_tried, key),
        entry=None,
        action=url("import_reference"),
        leave=url("look_at_import", file=key),
    )
    if page is not None:
        return page
    try:
        plan, _followed = following_views.done(partial(_applied, key), changes)
    except LookupError:
        return _page({"file": _(_GONE)}, 404)
    except importing.Overtaken as error:
        return _plan_page(error.plan, key, status=409, overtaken=True)
    kept_files.remove(dispatch, key)
    forget_badge()
    return redirect(url("reference_files", said="imported", n=len(plan.deeds)), 303)


def _applied(key: str) -> Plan:
    """Carry a kept file out, as it was shown."""
    dispatch = current_dispatch()
    with kept_files.opened(dispatch, key) as stream:
        return importing.apply(dispatch, stream, by=who_acts(), shown=request.form.get("plan", ""))


def _tried(key: str) -> Plan:
    try:
        return _applied(key)
    except importing.Overtaken as error:  # that is said when it is carried out
        raise LookupError(key) from error


@requires(Action.EDIT_REFERENCE)
def undo() -> AnyResponse:
    """Take a whole import back."""
    number = request.form.get("import", "")[:12]
    deed = partial(importing.take_back, current_dispatch(), number, by=who_acts())
    page, changes = following_views.asked(
        deed, entry=None, action=url("undo_import"), leave=url("reference_files")
    )
    if page is not None:
        return page
    try:
        done, _followed = following_views.done(deed, changes)
    except LookupError:
        abort(404, _("There was no such import."))
    forget_badge()
    return redirect(url("reference_files", said="undone", n=done.entries, left=done.left), 303)
