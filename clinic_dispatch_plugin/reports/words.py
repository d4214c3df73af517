"""What mail systems write into bounce mails: where the returned mail begins, what is late, what a machine answers."""

from __future__ import annotations

import re

#: An address as it stands in a text.
ADDRESS = re.compile(
    r"(?<![^\s<>()\[\],;:\"'=|])[^\s<>()\[\],;:\"'@=|]{1,128}@[A-Za-z0-9\u00a1-\uffff](?:[A-Za-z0-9\u00a1-\uffff.-]{0,253}[A-Za-z0-9\u00a1-\uffff])?(?![\w@])"
)

#: The line above the returned mail.
COPY_BEGINS = re.compile(
    r"^[ \t>*=#_.-]*(?:"
    r"(?:below (?:this line )?is|this is|here is|following is|the following is) (?:a"
    r"|the) (?:full )?copy of"
    r"|(?:the )?(?:header|text|body|start|beginning|first \d+ lines)s? of (?:the "
    r"|your )?(?:original|returned|message)"
    r"|(?:the |your )?(?:original|returned|unsent|undelivered|rejected"
    r"|failed) (?:e-?mail |mail )?(?:message|mail|e-?mail|header)s?\b"
    r"|message (?:header|text|body|headers)s? (?:follow|attached|below)"
    r"|(?:message|headers?) follows?\b"
    r"|a copy of (?:the|your) (?:original )?(?:message|mail)"
    r"|(?:original|your) message (?:follows|headers|was)"
    r"|(?:der|die) (?:kopf|header|kopfzeilen) der (?:urspr|original)"
    r"|(?:ursprüngliche|originale?) (?:nachricht|mail)"
    r"|(?:исходное|оригинал(?:ьное)?) (?:сообщени|письм)"
    r"|(?:копия|текст|заголовки?) (?:исходного |вашего |оригинального )?(?:сообщения|письма)"
    r"|content-type:[ \t]*message/rfc822"
    r").{0,120}$",
    re.IGNORECASE | re.MULTILINE,
)
#: A header with which a returned mail begins.
HEADER_LINE = re.compile(
    r"^>?[ \t]?(?:received|return-path|message-id|dkim-signature|x-originating-ip"
    r"|x-[a-z-]{2,40}|mime-version"
    r"|from|to|subject|date|sender|reply-to|cc):[ \t]",
    re.IGNORECASE,
)

#: The report says that it goes on trying.
LATE = re.compile(
    r"delay(?:ed)?\b|will (?:be|keep|continue|retry)[^.\n]{0,40}(?:retr|try|attempt)"
    r"|(?:will|still|keep|continu\w+) (?:be )?(?:retr|try)|not (?:yet )?been delivered"
    r"|warning-?: ?(?:could not|message)"
    r"|(?:you )?do not need to (?:resend|take any)|has not (?:yet )?been (?:delivered"
    r"|collected)|no action is required"
    r"|could not send message for (?:past|the last)|temporarily undeliver|delivery (?:is )?pending"
    r"|verzöger|wird weiterhin versucht|noch nicht zugestellt|erneut versuch"
    r"|задерж|будут продолж|попытки (?:доставки )?(?:будут|продолж)|ещё не доставлен"
    r"|еще не доставлен",
    re.IGNORECASE,
)
#: The report says that it gave up, whatever it says of delays.
GIVEN_UP = re.compile(
    r"giv(?:en|ing) up|permanent|fail(?:ed|ure)|return(?:ed|ing) (?:mail|message"
    r"|to sender)|could not be (?:delivered|sent)"
    r"|cannot be delivered|undeliverable|rejected|has been bounced|unzustellbar"
    r"|nicht zugestellt werden|не удалось|не доставлен[оы]?\b|невозможно доставить",
    re.IGNORECASE,
)
#: Subjects of reports.
BOUNCE_SUBJECT = re.compile(
    r"undeliver|undelivered|non-?deliver|not deliver|deliver[a-z]* (?:status|fail"
    r"|problem|error|report|delay|notif)"
    r"|(?:mail|message|e-?mail)s? (?:delivery|could not|system error|failed|failure"
    r"|rejected|delayed|status)"
    r"|return(?:ed|ing) (?:mail|message|to sender)|failure notice|mail failure"
    r"|failed mail|bounce|rejected mail"
    r"|could not (?:send|be delivered|deliver)|unable to deliver|warning: (?:message"
    r"|could not)|user unknown|nondeliverable"
    r"|unzustellbar|nicht (?:zugestellt|zustellbar)|zustell(?:ung|fehler|bericht)"
    r"|fehlgeschlagen|rückläufer|mailzustellung"
    r"|не ?доставлен|недоставлен|сбой доставки|ошибка (?:при )?доставк|не удалось"
    r"|возврат|mail system error"
    r"|エラー|届け|送信でき|配信|there was an error sending your mail|problem(?:s)? (?:delivering|sending)",
    re.IGNORECASE,
)
#: Phrases that stand in reports and hardly elsewhere.
BOUNCE_WORDS = re.compile(
    r"(?:could not|cannot|couldn't|can't|wasn't able to|was not able to|unable to"
    r"|not able to|failed to) (?:be )?(?:deliver|sen[dt]|transmit|route)"
    r"|(?:was|were|has been|is|were) (?:not |un)deliver|did not reach"
    r"|following (?:address|recipient)|deliver[a-z]* (?:fail|to the following)"
    r"|permanent (?:fatal )?error|user unknown|unknown user|no such user"
    r"|mailbox (?:is )?full|returned to (?:the )?sender"
    r"|konnte nicht (?:zugestellt|zugeleitet|ausgeliefert)|nicht zugestellt"
    r"|unzustellbar|folgende[nr]? (?:empfänger|adresse)"
    r"|не (?:может|могло|удалось) быть доставлен|не удалось доставить"
    r"|не было доставлено|не доставлено|undeliverable|bounced"
    r"|配信|お届け|宛先|送信できません",
    re.IGNORECASE,
)
#: Who writes reports.
BOUNCE_SENDER = re.compile(
    r"mailer-?daemon|mail ?delivery|post_?master|mail-?daemon|<>|double-bounce"
    r"|bounces?[@+-]|no-?reply@.*(?:bounce|mailer)",
    re.IGNORECASE,
)
#: Subjects of what machines answer for people who are away.
AWAY_SUBJECT = re.compile(
    r"out of (?:the )?office|\booo\b|auto(?:matic(?:ally)?|mated)?[ -]?(?:reply"
    r"|response|generated|answer|responder|antwort)|on (?:vacation|holiday|leave)\b"
    r"|away from (?:my|the)|vacation|autoreply|auto:|i am away|maternity leave"
    r"|no longer (?:with|works)"
    r"|abwesen|automatische (?:antwort|rückantwort|eingangsbestätigung)|urlaub"
    r"|nicht im (?:büro|haus)|elternzeit|eingangsbestätigung"
    r"|автоответ|автоматический ответ|в отпуске|отсутстви|вне офиса|absence"
    r"|réponse automatique|respuesta automática|risposta automatica",
    re.IGNORECASE,
)
#: A code of SMTP in a text: reply code, enhanced code or both.
CODED = re.compile(
    r"(?<![\w.@/-])(?<!\d:)(?P<reply>[45]\d\d)(?P<sep>[ -]"
    r"|: ?)#?(?P<enhanced>[45]\.\d{1,2}\.\d{1,3}(?![\d.]\d))?"
    r"|(?<![\w.@/-])(?<!\d:)#?(?P<alone>[45]\.\d{1,2}\.\d{1,3})(?![\d.]\d)(?!\.\d)"
)
