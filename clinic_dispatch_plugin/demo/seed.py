"""Makes the clinic's people and their calendar: the same ones each time, with a few whose mail will fail."""

from __future__ import annotations

import calendar
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, time, timedelta

from clinic_dispatch_plugin.demo import names
from clinic_dispatch_plugin.demo.models import ASKED_ABOUT, Status
from clinic_dispatch_plugin.demo.numbers import give_numbers
from clinic_dispatch_plugin.host.types import Consent

#: Written beside the data: other data need another number.
VERSION = "2"
SEED = 20_241_124

PATIENTS = 344
#: Of them with names in Cyrillic, and English ones.
RUSSIANS = 52
ENGLISH = 12
APPOINTMENTS_TOMORROW = 200
NEW_RESULTS = 60
BIRTHDAYS_TODAY = 6

#: How many of tomorrow's patients meet which answer of the relay.
SCENARIOS = {
    "unknown": 5,
    "full": 3,
    "disabled": 2,
    "moved": 1,
    "greylist": 6,
    "spam": 2,
    "toobig": 1,
    "strange": 2,
    "lost": 1,
}
#: How many of tomorrow's patients get nothing, by the reason.
NO_ADDRESS = ("", "", "", "keine")
MALFORMED = ("{local}@", "{local}(at)example.org", "{local}@@example.org", "{local}@example")
NOT_AGREED = 3

_MINUTES = 20
_FIRST_SLOT = 8 * 60
_ANSWERS = {
    "reminder": (80, 5, 15),
    "results": (70, 5, 25),
    "promotion": (55, 20, 25),
    "greeting": (60, 10, 30),
}


@dataclass(slots=True, kw_only=True)
class Person:
    """A patient to be, with what the relay will say."""

    id: str
    first_name: str
    last_name: str
    gender: str
    language: str
    born: date
    city: str
    email: str
    phone: str
    vip: bool
    consent: dict[str, Consent]
    status: Status = Status.ACTIVE
    #: What the relay answers to ``email``; empty: it takes everything.
    scenario: str = ""
    #: What the gateways do with ``phone``, one of :data:`clinic_dispatch_plugin.demo.numbers.WAYS`; empty: the best.
    way: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An appointment; ``patient`` is an id."""

    patient: str
    day: date
    starts: time
    doctor: str
    room: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A result; ``patient`` is an id."""

    patient: str
    day: date
    title: str
    is_new: bool


@dataclass(slots=True, kw_only=True)
class Clinic:
    """Everything that is written on first use."""

    people: list[Person] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def make_clinic(today: date) -> Clinic:
    """The whole clinic; people and addresses are the same whatever ``today`` is, the calendar lies around it."""
    rng = random.Random(SEED)
    people = _people(rng)
    coming = _coming_tomorrow(rng, people)
    clinic = Clinic(people=people)
    clinic.slots.extend(_tomorrow(rng, coming, today + timedelta(days=1)))
    clinic.slots.extend(_other_days(rng, people, today))
    clinic.findings.extend(_findings(rng, people, today))
    _numbers(clinic)
    _birthdays(rng, people, today)
    return clinic


# The people


def _people(rng: random.Random) -> list[Person]:
    languages = ["ru"] * RUSSIANS + ["en"] * ENGLISH
    languages += ["de"] * (PATIENTS - len(languages))
    rng.shuffle(languages)
    taken: set[str] = set()
    people = [_person(rng, number, language, taken) for number, language in enumerate(languages, 1)]
    _odd_cards(rng, people)
    return people


def _person(rng: random.Random, number: int, language: str, taken: set[str]) -> Person:
    gender = rng.choice("fm")
    first, last = _name(rng, gender, language)
    given = names.in_latin(first.split()[0])
    family = names.in_latin(last)
    local = rng.choice([f"{given}.{family}", f"{given}.{family}", f"{given[0]}.{family}"])
    domain = rng.choice(names.MAIL_DOMAINS)
    if f"{local}@{domain}" in taken:
        local = f"{given}.{family}{number}"
    taken.add(f"{local}@{domain}")
    start, digits = rng.choice(names.PHONE_RANGES)
    return Person(
        id=f"P-{number:05}",
        first_name=first,
        last_name=last,
        gender=gender,
        language=language,
        born=date(rng.randint(1934, 2006), rng.randint(1, 12), rng.randint(1, 28)),
        city=rng.choice(names.CITIES),
        email=f"{local}@{domain}",
        phone=f"{start}{rng.randrange(10**digits):0{digits}}",
        vip=rng.random() < 0.04,
        consent={purpose: _answer(rng, purpose) for purpose in ASKED_ABOUT},
    )


def _name(rng: random.Random, gender: str, language: str) -> tuple[str, str]:
    woman = gender == "f"
    if language == "ru":
        first = rng.choice(names.RUSSIAN_WOMEN if woman else names.RUSSIAN_MEN)
        father = rng.choice(names.PATRONYMICS)[0 if woman else 1]
        return f"{first} {father}", rng.choice(names.RUSSIAN_SURNAMES)[0 if woman else 1]
    if language == "en":
        first = rng.choice(names.ENGLISH_WOMEN if woman else names.ENGLISH_MEN)
        return first, rng.choice(names.ENGLISH_SURNAMES)
    first = rng.choice(names.GERMAN_WOMEN if woman else names.GERMAN_MEN)
    return first, rng.choice(names.GERMAN_SURNAMES)


def _answer(rng: random.Random, purpose: str) -> Consent:
    return rng.choices((Consent.YES, Consent.NO, Consent.UNKNOWN), _ANSWERS[purpose])[0]


def _odd_cards(rng: random.Random, people: list[Person]) -> None:
    """The cards of people who do not come tomorrow are no tidier; these stand at the end of the list."""
    odd = people[-24:]
    for person in odd[:10]:
        person.email = ""
    for person, written in zip(odd[10:16], _WRITTEN, strict=True):
        person.email = written.format(local=person.email.partition("@")[0])
    for person in odd[16:20]:
        person.status = Status.CLOSED
    for person in odd[20:22]:
        person.status = Status.DECEASED
    for person in odd[22:]:
        person.phone = rng.choice(["", "wechselt"])


_WRITTEN = (
    "max mustermann@example.org",
    "siehe Ehemann",
    "-",
    "{local}@example..org",
    "www.{local}.example",
    "{local}@",
)


# Tomorrow, where every answer is to be met


def _coming_tomorrow(rng: random.Random, people: list[Person]) -> list[Person]:
    """One entry for each appointment, in no order; who meets what is spread over the day."""
    # One of them comes twice, and makes the last appointment.
    coming = rng.sample(people[:-24], APPOINTMENTS_TOMORROW - 1)
    for person in coming:
        if person.consent["reminder"] is Consent.NO:
            person.consent["reminder"] = Consent.YES
    rest = iter(coming)
    for scenario, count in SCENARIOS.items():
        for person in _next(rest, count):
            person.scenario = scenario
            if scenario == "unknown":
                person.email = _typo(person.email)
    for person, written in zip(_next(rest, len(NO_ADDRESS)), NO_ADDRESS, strict=True):
        person.email = written
    for person, written in zip(_next(rest, len(MALFORMED)), MALFORMED, strict=True):
        person.email = written.format(local=person.email.partition("@")[0])
    for person in _next(rest, NOT_AGREED):
        person.consent["reminder"] = Consent.NO
    next(rest).status = Status.DECEASED
    both = next(rest)
    both.email = f"{both.email}, {both.email.partition('@')[0]}@buero.example"
    _family(next(rest), next(rest))
    twice = next(rest)
    coming.append(twice)
    rng.shuffle(coming)
    return coming


def _next(people: Iterator[Person], count: int) -> list[Person]:
    return [next(people) for _ in range(count)]


def _family(mother: Person, son: Person) -> None:
    """Two patients who read the same mail."""
    mother.first_name, mother.gender, mother.born = "Christina", "f", date(1979, 2, 3)
    son.first_name, son.gender, son.born = "Felix", "m", date(2011, 5, 14)
    for person in (mother, son):
        person.last_name, person.language, person.email = (
            "Sommer",
            "de",
            "familie.sommer@example.org",
        )
        person.city, person.phone = mother.city, mother.phone


def _typo(address: str) -> str:
    """The address without its last vowel before the @: ``anna.bergr@…``."""
    local, _, domain = address.partition("@")
    place = max(local.rfind(vowel) for vowel in "aeiou")
    return f"{local[:place]}{local[place + 1 :]}@{domain}"


# The calendar


def _tomorrow(rng: random.Random, coming: list[Person], day: date) -> Iterator[Slot]:
    for number, person in enumerate(coming):
        doctor, room = names.DOCTORS[number % len(names.DOCTORS)]
        yield Slot(
            patient=person.id,
            day=day,
            starts=_clock(number // len(names.DOCTORS)),
            doctor=doctor,
            room=room,
        )


def _other_days(rng: random.Random, people: list[Person], today: date) -> Iterator[Slot]:
    alive = [person for person in people if person.status is Status.ACTIVE]
    for distance in (*range(-10, 1), *range(2, 15)):
        day = today + timedelta(days=distance)
        # Random numbers are drawn on Sundays too: the addresses must not depend on the weekday.
        places = sorted(rng.sample(range(26 * len(names.DOCTORS)), 24))
        visitors = rng.sample(alive, 24)
        if day.weekday() == 6 and distance:
            continue
        for place, person in zip(places, visitors, strict=True):
            doctor, room = names.DOCTORS[place % len(names.DOCTORS)]
            starts = _clock(place // len(names.DOCTORS))
            yield Slot(patient=person.id, day=day, starts=starts, doctor=doctor, room=room)


def _clock(slot: int) -> time:
    minutes = _FIRST_SLOT + slot * _MINUTES
    return time(minutes // 60, minutes % 60)


def _findings(rng: random.Random, people: list[Person], today: date) -> Iterator[Finding]:
    alive = [person for person in people if person.status is Status.ACTIVE]
    tested = rng.sample(alive, NEW_RESULTS + 80)
    for number, person in enumerate(tested):
        is_new = number < NEW_RESULTS
        days_ago = rng.randint(0, 5) if is_new else rng.randint(8, 60)
        yield Finding(
            patient=person.id,
            day=today - timedelta(days=days_ago),
            title=rng.choice(names.FINDINGS),
            is_new=is_new,
        )


def _numbers(clinic: Clinic) -> None:
    """The family keeps the one number it shares, at home."""
    new = {finding.patient for finding in clinic.findings if finding.is_new}
    family = [person for person in clinic.people if person.last_name == "Sommer"]
    alone = [person for person in clinic.people if person not in family]
    tested = [p for p in alone if p.id in new and p.consent["results"] is not Consent.NO]
    give_numbers(alone, tested, kept={person.phone for person in family})
    for person in family:
        person.way = "landline"


def _birthdays(rng: random.Random, people: list[Person], today: date) -> None:
    """Somebody has a birthday today, and on each of the days to come."""
    grown = [p for p in people if p.status is Status.ACTIVE and p.born.year < 2007]
    rng.shuffle(grown)
    rest = iter(grown)
    for person in grown:
        if (person.born.month, person.born.day) == (today.month, today.day):
            person.born -= timedelta(days=1)
    for distance in range(31):
        day = today + timedelta(days=distance)
        for person in _next(rest, BIRTHDAYS_TODAY if distance == 0 else 2):
            person.born = _born(day, person.born.year)


def _born(day: date, year: int) -> date:
    if (day.month, day.day) == (2, 29) and not calendar.isleap(year):
        year -= year % 4
    return day.replace(year=year)
