"""The text of a mailing: checked when it is entered, cleaned when it is kept, rendered as it will be sent."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from clinic_dispatch_plugin.channels.html import clean_html
from clinic_dispatch_plugin.channels.html_frame import Frames
from clinic_dispatch_plugin.channels.text import (
    Template,
    TemplateSyntaxProblem,
    clean_value,
    parse,
    single_line,
)
from clinic_dispatch_plugin.channels.types import ContentFields
from clinic_dispatch_plugin.engine.prepare import Text
from clinic_dispatch_plugin.mailings.problems import MailingProblem, Problem

#: Characters of a subject as written; mail programs show far fewer.
LONGEST_SUBJECT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class MailingContent:
    """What a mailing says, with its placeholders."""

    subject: str = ""
    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written yet."""
        return not (self.subject.strip() or self.text.strip() or self.html.strip())


def checked_content(
    content: MailingContent, *, fields: ContentFields, known: Collection[str] | None = None
) -> MailingContent:
    """The content as it is kept: HTML cleaned, parts the channel does not have left out.

    :param known: names recipients have values for; None: any.
    :raises MailingProblem: names each field with what is wrong in it, and where.
    """
    problems: list[Problem] = []
    done = MailingContent(
        subject=content.subject.strip() if fields.subject else "",
        text=_plain(content.text),
        html=clean_html(_plain(content.html)) if fields.html else "",
    )
    if fields.subject and not done.subject:
        problems.append(Problem(field="subject", message="Write a subject."))
    elif len(done.subject) > LONGEST_SUBJECT:
        message = "The subject is longer than {limit} characters: shorten it."
        problems.append(
            Problem(field="subject", message=message, fields={"limit": LONGEST_SUBJECT})
        )
    else:
        problems += _syntax("subject", done.subject, known, one_line=True)
    if not done.text.strip():
        problems.append(Problem(field="text", message="Write the text of the message."))
    problems += _syntax("text", done.text, known)
    problems += _syntax("html", done.html, known)
    if problems:
        raise MailingProblem(*problems)
    return done


def _plain(text: str) -> str:
    return clean_value(text).strip("\n")


def _syntax(
    name: str, source: str, known: Collection[str] | None, *, one_line: bool = False
) -> list[Problem]:
    try:
        parse(single_line(source) if one_line else source, known=known)
    except TemplateSyntaxProblem as problem:
        return [Problem(field=name, message=problem.message_template, fields=problem.fields)]
    return []


def compiled(content: MailingContent, *, purpose: str, channel: str) -> Text:
    """The text as the workers will render it.

    :raises clinic_dispatch_plugin.channels.text.TemplateSyntaxProblem: it was never checked.
    """
    return Text(
        mailing_id=0,
        purpose=purpose,
        channel=channel,
        not_after=None,
        subject=parse(content.subject),
        body=parse(content.text),
        html=Frames(parse(content.html)) if content.html else None,
    )


def names_in(text: Text) -> frozenset[str]:
    """Every placeholder the text names: the values a message has to keep."""
    names = text.subject.names | text.body.names
    return names | text.html.template.names if text.html else names


def lenient(source: str, problem: Callable[[TemplateSyntaxProblem], None]) -> Template | None:
    """The template for a preview of a text half written; its fault goes to ``problem``."""
    try:
        return parse(source)
    except TemplateSyntaxProblem as error:
        problem(error)
        return None


def storable(text: str) -> str:
    """A text every database takes: no NUL, no half characters, at most 256 KiB."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[: 256 * 1024]
