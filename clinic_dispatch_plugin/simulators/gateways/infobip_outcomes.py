"""How Infobip words what became of a message: groups, states and errors."""

from __future__ import annotations

from typing import Any

PENDING, DELIVERED, DUPLICATE, NO_CREDIT = "26", "5", "23", "12"
#: Added to a state's number where it is to be reported without an error.
STATE = 50_000

#: States by group.
_STATES = {
    (1, "PENDING"): {"3": "WAITING_DELIVERY", "7": "ENROUTE", "26": "ACCEPTED"},
    (2, "UNDELIVERABLE"): {
        "4": "REJECTED_OPERATOR",
        "9": "NOT_DELIVERED",
        "31": "NOT_SENT",
        "100": "REJECTED_PLATFORM",
    },
    (3, "DELIVERED"): {"2": "TO_OPERATOR", "5": "TO_HANDSET"},
    (4, "EXPIRED"): {"15": "EXPIRED", "29": "DLR_UNKNOWN"},
    (5, "REJECTED"): {
        "6": "NETWORK",
        "8": "PREFIX_MISSING",
        "10": "DND",
        "11": "SOURCE",
        "12": "NOT_ENOUGH_CREDITS",
        "13": "SENDER",
        "14": "DESTINATION_BLOCKLISTED",
        "17": "PREPAID_PACKAGE_EXPIRED",
        "18": "DESTINATION_NOT_REGISTERED",
        "19": "ROUTE_NOT_AVAILABLE",
        "20": "FLOODING_FILTER",
        "21": "SYSTEM_ERROR",
        "23": "DUPLICATE_MESSAGE_ID",
        "24": "INVALID_UDH",
        "25": "MESSAGE_TOO_LONG",
        "52": "DESTINATION",
        "55": "MESSAGE_IS_EMPTY",
    },
}
#: Errors that pass: the same message may arrive later.
_PASSING = {
    "6",
    "13",
    "27",
    "31",
    "32",
    "33",
    "34",
    "36",
    "71",
    "255",
    "4098",
    "4101",
    "7017",
    "7050",
    "7051",
    "7080",
}
_EXPIRED = {"71", "4098", "4100", "4101"}
#: Errors with a name that is met often.
_NAMES = {
    "0": "NO_ERROR",
    "1": "EC_UNKNOWN_SUBSCRIBER",
    "5": "EC_UNIDENTIFIED_SUBSCRIBER",
    "6": "EC_ABSENT_SUBSCRIBER_SM",
    "9": "EC_ILLEGAL_SUBSCRIBER",
    "13": "EC_CALL_BARRED",
    "27": "EC_ABSENT_SUBSCRIBER",
    "32": "EC_SM_DELIVERY_FAILURE",
    "4098": "EC_VP_EXPIRED",
    "7002": "EC_UNKNOWN_USER",
    "7003": "EC_BLOCKED_USER",
}


def status_of(identifier: str) -> dict[str, Any]:
    """A state in the provider's words; one nobody knows counts as rejected."""
    for (group, word), states in _STATES.items():
        if identifier in states:
            return _status(group, word, identifier, f"{word}_{states[identifier]}")
    return _status(5, "REJECTED", identifier, f"REJECTED_{identifier}")


def failed_status(failure: str) -> str:
    """The final state of a message that met this error; from 50000 on a state itself, without an error."""
    if failure.isdigit() and int(failure) >= STATE:
        return str(int(failure) - STATE)
    return "15" if failure in _EXPIRED else "9"


def error_of(failure: str) -> dict[str, Any]:
    """An error in the provider's words; empty: there was none."""
    code = failure if failure and not (failure.isdigit() and int(failure) >= STATE) else "0"
    number = int(code) if code.isdigit() else code
    user = code in {"6", "7", "8", "11", "21", "27"}
    group, word = (
        (0, "OK") if code == "0" else (2, "USER_ERRORS") if user else (1, "HANDSET_ERRORS")
    )
    return {
        "groupId": group,
        "groupName": word,
        "id": number,
        "name": _NAMES.get(code, f"EC_{code}"),
        "description": _NAMES.get(code, f"Error {code}").replace("_", " ").capitalize(),
        "permanent": code != "0" and code not in _PASSING,
    }


def _status(group: int, word: str, identifier: str, name: str) -> dict[str, Any]:
    return {
        "groupId": group,
        "groupName": word,
        "id": int(identifier) if identifier.isdigit() else identifier,
        "name": name,
        "description": name.replace("_", " ").capitalize(),
    }
