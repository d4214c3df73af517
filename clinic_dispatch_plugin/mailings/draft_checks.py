"""Whether a draft can be sent as it is, and what its recipients have values for."""

from __future__ import annotations

from clinic_dispatch_plugin.mailings import uploads
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.drafts import LONGEST_NAME, Draft
from clinic_dispatch_plugin.mailings.order import checked_texts
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem, name_cut
from clinic_dispatch_plugin.mailings.sources import audience_names, file_names
from clinic_dispatch_plugin.registry import Dispatch


def names_of(dispatch: Dispatch, draft: Draft) -> tuple[str, ...]:
    """The placeholders its recipients have values for.

    :raises NotYours: its list is not there any more.
    """
    if draft.source == "file":
        found = uploads.path(dispatch, draft.selection.get("upload"))
        return file_names(found, order=draft.order)
    return audience_names(dispatch.host, str(draft.selection.get("audience", "")))


def checked_draft(dispatch: Dispatch, draft: Draft) -> dict[str, MailingContent]:
    """The words for each of its channels as they will be sent, the first channel's first.

    :raises MailingProblem: something of the draft is missing or wrong.
    """
    problems: list[Problem] = []
    for key in draft.order:
        if dispatch.account(key, draft.row["purpose"] or "") is None:
            message = (
                "No account is set up for this channel. Ask your administrator."
                if dispatch.account(key) is None
                else "No account of this channel takes mailings with this purpose. Ask your administrator."
            )
            problems.append(Problem(field="channel", message=message))
    if not draft.has_recipients:
        problems.append(Problem(field="whom", message="Choose who gets the message."))
    if not draft.name:
        problems.append(Problem(field="name", message="Give the mailing a name."))
    elif too_long := (draft.row["draft"] or {}).get("name_too_long"):
        problems.append(name_cut(too_long, LONGEST_NAME))
    contents = {draft.channel: draft.content, **draft.further}
    try:
        if draft.channel in dispatch.channels and draft.has_recipients:
            known = names_of(dispatch, draft)
            contents = checked_texts(dispatch, draft.order, contents, known=known)
    except NotYours:
        message = "The list of recipients is not there any more. Choose it again."
        problems.append(Problem(field="file", message=message))
    except MailingProblem as error:
        problems += error.problems
    if problems:
        raise MailingProblem(*problems)
    return contents
