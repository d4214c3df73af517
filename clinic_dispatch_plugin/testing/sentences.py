"""What the contract says of a channel that does not keep it: what is wrong, and what to do."""

from __future__ import annotations

TWICE_ANSWERED = "One message got two results. Yield exactly one result for each message you take from the batch."
NOT_TAKEN = (
    "A result names a message that was not taken. Give the attempt_id of the message it is about."
)
NO_RESULT = (
    "A message was taken and got no result: a worker would hold it as uncertain. "
    "Yield a result for each message you take, or raise AccountError or ConnectionFailed."
)
TOO_MANY_IN_HAND = (
    "More messages were taken than go out at once: what is taken when a worker dies is in doubt. "
    "Take the next message only when its bytes go next."
)
NO_ANSWER = "A refusal has no answer, so nothing can explain it. Give Answer(system, code, text)."
NO_CODE = "An answer has no code or an endless one: the error reference finds entries by it."
SECRET = "A secret of the account can be read in what is shown. Keep it out of labels, answers and repr()."
HANDED_TWICE = (
    "The gateway got one message twice. Hand each over once; all trying again is the core's work."
)
ACCEPTED_NOT_TAKEN = (
    "A message is called accepted and the gateway does not have it. "
    "Return Accepted only on the gateway's own yes to this message."
)
NOT_SENT_TAKEN = (
    "A message is called not sent and the gateway has it: it would go out twice. "
    "Once its last byte left, what has no answer is uncertain."
)
OTHERS_REFUSED = (
    "One recipient was refused and others with it. Tell the answers of a request apart."
)
LOST = "Messages were neither sent nor left in the batch. Every message of a batch is accepted by a good gateway."
SAME_IDS = (
    "Two messages have one provider_id: a report would be tied to the wrong one. "
    "Make it unique, with the chat or number in it where the gateway counts per recipient."
)
AFTER_STOP = "The stream was stopped and messages were taken on. Ask the batch for each message, and end with it."
AFTER_BREAK = (
    "After a batch was broken off the sender sends no more. "
    "Put what send() holds into try/finally, so that the next batch finds it as it was."
)
REFUSED_FOR_GOOD = "A refusal for good would be tried again. Raise PermanentError, or say so in the entry of your pack."
REFUSED_FOR_NOW = "A refusal for now would be given up. Raise TemporaryError, or say so in the entry of your pack."
UNEXPLAINED = 'No entry of the reference explains this answer. Bring one in your pack: a code, and "*" for all others.'
SILENCE = (
    "The gateway said nothing, and the message was called sent or refused. "
    "Silence after the hand-over is uncertain: raise UncertainError."
)
RUBBISH = (
    "The gateway said rubbish, and the message was called sent, or refused although it was taken. "
    "What is not the gateway's own yes or no is uncertain."
)
SLOW = "A slow gateway was not waited for. Wait as long as the account's timeout allows."
LOST_BEFORE = (
    "The connection ended before the message was whole, and it was not called unsent. "
    "Raise ConnectionFailed: it is due again at once."
)
LOST_AFTER = "The connection ended after the hand-over, and the message was not called uncertain. Raise UncertainError."
ACCOUNT = (
    "The gateway refuses the account, and no AccountError came: every message would fail for it. "
    "Raise AccountError with the gateway's answer."
)
ACCOUNT_GOES_ON = (
    "The account is refused, and messages were taken on. End with AccountError at once."
)
ADDRESS_CHANGES = "A normalised address changes when it is normalised again: duplicates and blocks would not be found."
NO_ADDRESS_TAKEN = (
    "What is no address was taken as one. Raise InvalidAddress with an answer of the system dispatch, "
    "no_address or malformed_address."
)
NAMES = "The channel or its account has no name. Pages and the doctor show key, label and the account's label."
HANGS = "The sender did not end within {seconds:g} seconds. Give every wait a timeout."
FORGED = (
    "A callback that proves nothing was believed: anybody could report what they like. "
    "Raise CallbackRefused unless signature or secret is right."
)
CALLBACK_RAISES = "A callback of rubbish ended with {error} instead of CallbackRefused: the gateway calls for ever."
CALLBACK_UNKNOWN = (
    "A good callback names no message that was sent. "
    "Give the report the attempt_key or the provider_id of its message."
)
CALLBACK_TWICE = (
    "The same callback read twice says two things. Read it without remembering anything."
)
CALLBACKS_UNTRIED = (
    "capabilities.callbacks says that the gateway calls back, and callbacks() shows none. "
    "Let it give calls as the gateway makes them."
)
CHECK_INVENTS = (
    "The gateway was asked about a message it never had, and it was called delivered. "
    "Say NOT_FOUND, or nothing."
)
