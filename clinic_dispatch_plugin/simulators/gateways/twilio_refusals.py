"""How Twilio says no, to messages and calls alike."""

from __future__ import annotations

from dataclasses import replace

from clinic_dispatch_plugin.simulators.gateways.answers import Asked, Said
from clinic_dispatch_plugin.simulators.gateways.gateway import SimulatedGateway
from clinic_dispatch_plugin.simulators.gateways.plans import Plan

#: Words for the answers that are given most.
WORDS = {
    "20003": "Authenticate",
    "20404": "The requested resource was not found",
    "20429": "Too Many Requests",
    "21211": "Invalid 'To' Phone Number",
    "21602": "Message body is required.",
    "21603": "A 'From' or 'MessagingServiceSid' parameter is required.",
    "21604": "A 'To' phone number is required.",
    "21610": "Attempt to send to unsubscribed recipient",
    "21611": "This 'From' number has exceeded the maximum number of queued messages",
    "21614": "'To' number is not a valid mobile number",
    "21617": "The concatenated message body exceeds the 1600 character limit",
}


def refusal(code: str, *, status: int = 400) -> Said:
    """An error as the provider words it."""
    content = {
        "code": int(code) if code.isdigit() else code,
        "message": WORDS.get(code, f"Error {code}"),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Said(status=status, content=content)


def turned_away(gateway: SimulatedGateway, asked: Asked, plan: Plan, *, fault: str) -> Said | None:
    """What is answered to a message or call that is not taken; None: it is.

    :param fault: the code of what is wrong with the request; empty: nothing.
    """
    if gateway.is_throttled([asked.form.get("To", "")]):
        return gateway.too_many(asked)
    if code := fault or plan.refusal:
        return replace(refusal(code), delay=plan.delay, trouble=plan.trouble)
    if not plan.taken:
        return Said(trouble=plan.trouble)
    return None
