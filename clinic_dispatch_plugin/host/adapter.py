"""The questions we ask a clinic's system; every default is the safe one: nobody, no, nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clinic_dispatch_plugin.host.types import Action, Actor, Audience, Confirmed, Layout, Recipient


class HostAdapter:
    """Subclass this and answer what your system knows. Called in web requests and in workers alike.

    Methods may raise: a page then shows a clear error, and a worker gives its messages back unsent.
    """

    def current_actor(self) -> Actor | None:
        """Who acts in this web request; None: nobody is signed in (pages answer 401)."""
        return None

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        """Whether this actor may do this; False: pages answer 403."""
        return False

    def may_see(self, actor: Actor, refs: Sequence[str]) -> set[str]:
        """Those of ``refs`` whose messages this actor may see, for hosts with row-level access.

        Asked in bulk for lists and counts. Messages without a ref (from a file) are not asked about.
        """
        return set(refs)

    def audiences(self) -> Sequence[Audience]:
        """The groups of recipients a mailing can be sent to."""
        return ()

    def recipients(self, audience: str, filters: Mapping[str, str]) -> Iterable[Recipient]:
        """Everybody in this audience, streamed: 100,000 recipients are never held at once.

        :raises ValueError: a filter's value is wrong; its text is shown to the user.
        """
        return ()

    def recipient(self, ref: str) -> Recipient | None:
        """One recipient as they are now; asked again just before sending. None: no such patient any more."""
        return None

    def recipients_now(self, refs: Sequence[str]) -> Mapping[str, Recipient]:
        """Several recipients as they are now; override where the host can answer this with one query."""
        found = ((ref, self.recipient(ref)) for ref in refs)
        return {ref: recipient for ref, recipient in found if recipient is not None}

    def recipient_url(self, ref: str) -> str | None:
        """Where the patient's card is; None: no link is shown."""
        return None

    def update_address(self, ref: str, channel: str, value: str) -> bool:
        """Save a corrected address on the patient's card; False: the host does not allow it.

        :raises ValueError: the host refuses this value; its text is shown beside the field.
        """
        return False

    def confirmed(self, confirmed: Confirmed) -> None:
        """A recipient confirmed a message, such as an appointment, by a key during a call.

        Called in a worker, after it was written down; what it raises is logged. It may be told twice, and where the
        worker dies at that moment not at all: the message's page shows it in any case.
        """

    def layout(self) -> Layout | None:
        """The host's page our pages are shown in; None: a plain page of our own."""
        return None

    def page_vars(self) -> Mapping[str, Any]:
        """Variables the host's layout needs on every page."""
        return {}

    def render(self, template: str, context: Mapping[str, Any]) -> str | None:
        """Render a page in the host's own way; None: we use Jinja and :meth:`layout`."""
        return None

    def locale(self) -> str | None:
        """The language of this request (``"de"``); None: configuration, then the browser decides."""
        return None


class OpenToEveryone(HostAdapter):
    """For a host without any sign-in, said in so many words: whoever reaches the pages may do everything."""

    def current_actor(self) -> Actor | None:
        """One nameless actor for all."""
        return Actor(ref="everyone", name="everyone")

    def is_allowed(self, actor: Actor, action: Action) -> bool:
        """Everything."""
        return True
