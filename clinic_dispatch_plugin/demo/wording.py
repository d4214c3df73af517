"""The clinic's own words in the three languages its staff and its patients speak."""

from __future__ import annotations

from datetime import date, datetime, time

from flask import g, has_app_context

LANGUAGES = {"de": "Deutsch", "en": "English", "ru": "Русский"}

#: Key to German, English, Russian.
_WORDS: dict[str, tuple[str, str, str]] = {
    "clinic": ("Klinik am Park", "Park Clinic", "Клиника «У парка»"),
    "skip": ("Zum Inhalt", "Skip to content", "К содержанию"),
    "main_menu": ("Hauptmenü", "Main menu", "Главное меню"),
    "language": ("Sprache", "Language", "Язык"),
    "start": ("Start", "Home", "Главная"),
    "patients": ("Patienten", "Patients", "Пациенты"),
    "appointments": ("Termine", "Appointments", "Приём"),
    "results": ("Befunde", "Results", "Результаты"),
    "sign_in": ("Anmelden", "Sign in", "Войти"),
    "sign_out": ("Abmelden", "Sign out", "Выйти"),
    "signed_in_as": ("Angemeldet als", "Signed in as", "Вы вошли как"),
    "username": ("Benutzername", "User name", "Имя пользователя"),
    "password": ("Kennwort", "Password", "Пароль"),
    "wrong_sign_in": (
        "Benutzername oder Kennwort stimmt nicht.",
        "User name or password is wrong.",
        "Неверное имя пользователя или пароль.",
    ),
    "please_sign_in": (
        "Für diese Seite melden Sie sich bitte an.",
        "Please sign in to see this page.",
        "Чтобы открыть эту страницу, войдите.",
    ),
    "demo_users": ("Zum Ausprobieren", "To try it out", "Для пробы"),
    "demo_note": (
        "Diese Klinik ist erfunden. Das Kennwort ist für alle „demo“.",
        "This clinic is invented. The password is “demo” for everybody.",
        "Эта клиника вымышленная. Пароль для всех — «demo».",
    ),
    "role_reception": ("Empfang", "Reception", "Регистратура"),
    "role_marketing": ("Marketing", "Marketing", "Маркетинг"),
    "role_administrator": ("Verwaltung", "Administration", "Администрация"),
    "role_colleague": ("Kollege ohne Rechte", "Colleague without rights", "Коллега без прав"),
    "welcome": ("Guten Tag, {name}", "Hello, {name}", "Здравствуйте, {name}"),
    "today_is": ("Heute ist {day}.", "Today is {day}.", "Сегодня {day}."),
    "todays_appointments": ("Termine heute", "Today’s appointments", "Приём сегодня"),
    "todays_birthdays": ("Geburtstage heute", "Birthdays today", "Дни рождения сегодня"),
    "turns": ("wird {age}", "turns {age}", "исполняется {age}"),
    "no_rights": (
        "Ihr Zugang hat noch keine Rechte. Bitte wenden Sie sich an die Verwaltung.",
        "Your account has no rights yet. Please ask the administration.",
        "У вашей учётной записи пока нет прав. Обратитесь в администрацию.",
    ),
    "nobody": ("Niemand.", "Nobody.", "Никого."),
    "nothing_found": ("Nichts gefunden.", "Nothing found.", "Ничего не найдено."),
    "search_patients": ("Name oder Nummer", "Name or number", "Имя или номер"),
    "search": ("Suchen", "Search", "Найти"),
    "show": ("Anzeigen", "Show", "Показать"),
    "count_patients": ("{count} Patienten", "{count} patients", "Пациентов: {count}"),
    "count_appointments": ("{count} Termine", "{count} appointments", "Записей: {count}"),
    "page_of": ("Seite {page} von {pages}", "Page {page} of {pages}", "Страница {page} из {pages}"),
    "pages": ("Seiten", "Pages", "Страницы"),
    "previous": ("Zurück", "Previous", "Назад"),
    "next": ("Weiter", "Next", "Далее"),
    "earlier_day": ("Tag davor", "Day before", "Предыдущий день"),
    "later_day": ("Tag danach", "Day after", "Следующий день"),
    "number": ("Nummer", "Number", "Номер"),
    "name": ("Name", "Name", "Имя"),
    "born": ("Geboren", "Born", "Дата рождения"),
    "city": ("Ort", "Town", "Город"),
    "email": ("E-Mail", "E-mail", "Эл. почта"),
    "phone": ("Telefon", "Phone", "Телефон"),
    "letters_in": ("Briefe auf", "Letters in", "Язык писем"),
    "status": ("Status", "Status", "Статус"),
    "status_active": ("aktiv", "active", "активна"),
    "status_closed": ("Karte geschlossen", "card closed", "карта закрыта"),
    "status_deceased": ("verstorben", "deceased", "умер(ла)"),
    "vip": ("Geschützte Karte", "Protected card", "Защищённая карта"),
    "missing": ("fehlt", "missing", "нет"),
    "contact": ("Kontakt", "Contact", "Контакты"),
    "consents": ("Einwilligungen", "Consents", "Согласия"),
    "consent_reminder": ("Terminerinnerung", "Appointment reminders", "Напоминания о приёме"),
    "consent_results": ("Befunde", "Results", "Результаты"),
    "consent_promotion": ("Angebote und Aktionen", "Offers", "Акции и предложения"),
    "consent_greeting": ("Glückwünsche", "Greetings", "Поздравления"),
    "yes": ("ja", "yes", "да"),
    "no": ("nein", "no", "нет"),
    "unknown": ("nicht gefragt", "not asked", "не спрашивали"),
    "save": ("Speichern", "Save", "Сохранить"),
    "saved": ("Die Karte ist gespeichert.", "The card was saved.", "Карта сохранена."),
    "not_saved": (
        "Bitte prüfen Sie die markierten Felder; gespeichert ist noch nichts.",
        "Please check the marked fields; nothing was saved yet.",
        "Проверьте отмеченные поля; ничего ещё не сохранено.",
    ),
    "time": ("Zeit", "Time", "Время"),
    "day": ("Tag", "Day", "День"),
    "doctor": ("Arzt", "Doctor", "Врач"),
    "room": ("Zimmer", "Room", "Кабинет"),
    "patient": ("Patient", "Patient", "Пациент"),
    "finding": ("Befund", "Result", "Исследование"),
    "new": ("neu", "new", "новый"),
    "told": ("mitgeteilt", "told", "сообщён"),
    "only_new": ("nur neue", "new ones only", "только новые"),
    "bad_address": (
        "Das ist keine E-Mail-Adresse. Sie sieht so aus: name@anbieter.de",
        "This is no e-mail address. One looks like this: name@provider.com",
        "Это не адрес эл. почты. Пример: name@provider.ru",
    ),
    "address_too_long": (
        "Höchstens {most} Zeichen.",
        "At most {most} characters.",
        "Не больше {most} знаков.",
    ),
    "bad_phone": (
        "Bitte nur Ziffern, Leerzeichen und + - / ( ).",
        "Digits, spaces and + - / ( ) only, please.",
        "Только цифры, пробелы и + - / ( ).",
    ),
    "no_such_channel": (
        "Diese Angabe ändert man in der Patientenkarte.",
        "This is changed on the patient’s card.",
        "Это меняется в карте пациента.",
    ),
    "bad_day": (
        "{value} ist kein Tag. Bitte so schreiben: 2026-11-24",
        "{value} is no day. Write it like this: 2026-11-24",
        "{value} — не дата. Пишите так: 2026-11-24",
    ),
    "bad_age": (
        "{value} ist kein Alter von 0 bis 120.",
        "{value} is no age from 0 to 120.",
        "{value} — не возраст от 0 до 120.",
    ),
    "bad_choice": (
        "{value} steht nicht zur Wahl.",
        "{value} is none of the choices.",
        "{value} нет среди вариантов.",
    ),
    "bad_audience": (
        "Diese Empfänger gibt es nicht.",
        "There are no such recipients.",
        "Таких получателей нет.",
    ),
    "audience_appointments": (
        "Patienten mit Termin",
        "Patients with an appointment",
        "Пациенты, записанные на приём",
    ),
    "audience_results": (
        "Patienten mit neuem Befund",
        "Patients with a new result",
        "Пациенты с новым результатом",
    ),
    "audience_birthdays": ("Geburtstagskinder", "Birthdays", "Именинники"),
    "audience_all": ("Alle Patienten", "All patients", "Все пациенты"),
    "since": ("Seit", "Since", "С"),
    "all_doctors": ("Alle Ärzte", "All doctors", "Все врачи"),
    "any": ("alle", "any", "все"),
    "age_from": ("Alter von", "Age from", "Возраст от"),
    "age_to": ("Alter bis", "Age to", "Возраст до"),
    "back_to_start": ("Zur Startseite", "To the home page", "На главную"),
    "error_400": (
        "Diese Eingabe können wir nicht verarbeiten. Bitte laden Sie die Seite neu und versuchen Sie es noch einmal.",
        "We cannot process this input. Please reload the page and try again.",
        "Эти данные обработать не удалось. Обновите страницу и попробуйте ещё раз.",
    ),
    "error_403": (
        "Dafür fehlt Ihnen das Recht.",
        "You have no right to do this.",
        "У вас нет на это прав.",
    ),
    "error_404": ("Diese Seite gibt es nicht.", "There is no such page.", "Такой страницы нет."),
    "error_405": (
        "So lässt sich diese Seite nicht aufrufen.",
        "This page cannot be opened this way.",
        "Так эту страницу открыть нельзя.",
    ),
    "error_413": ("Das ist zu groß.", "This is too big.", "Это слишком много."),
    "error_500": (
        "Da ist uns ein Fehler unterlaufen. Er wurde aufgeschrieben.",
        "We made a mistake. It was written down.",
        "Произошла ошибка. Она записана.",
    ),
    "error_503": (
        "Die Datenbank der Klinik antwortet gerade nicht. Bitte versuchen Sie es gleich noch einmal.",
        "The clinic’s database does not answer. Please try again in a moment.",
        "База данных клиники сейчас не отвечает. Попробуйте ещё раз чуть позже.",
    ),
}

_MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "en": "January February March April May June July August September October November December",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
}
_WEEKDAYS = {
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "ru": "понедельник вторник среда четверг пятница суббота воскресенье",
}


def language() -> str:
    """The language of this request; German outside one."""
    found = str(g.get("language", "de")) if has_app_context() else "de"
    return found if found in LANGUAGES else "de"


def t(key: str, **values: object) -> str:
    """The clinic's words for ``key`` in this request's language."""
    text = _WORDS[key][list(LANGUAGES).index(language())]
    return text.format(**values) if values else text


def error_text(code: int) -> str:
    """What a person is told about an HTTP error."""
    known = f"error_{code}"
    return t(known if known in _WORDS else "error_400" if code < 500 else "error_500")


def short_day(value: date) -> str:
    """A day in figures: ``24.11.2026``."""
    return value.strftime("%d/%m/%Y" if language() == "en" else "%d.%m.%Y")


def long_day(value: date) -> str:
    """A day in words: *Dienstag, 24. November 2026*."""
    weekday = _WEEKDAYS[language()].split()[value.weekday()]
    month = _MONTHS[language()].split()[value.month - 1]
    dot = "." if language() == "de" else ""
    return f"{weekday}, {value.day}{dot} {month} {value.year}"


def clock_time(value: time | datetime) -> str:
    """Hours and minutes."""
    return value.strftime("%H:%M")
