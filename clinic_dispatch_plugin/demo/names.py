"""What patients are made of: names, towns, doctors, findings; all invented, all numbers kept for fiction."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


GERMAN_WOMEN = _words("""Anna Katharina Sabine Petra Monika Ursula Ilse Gisela Heike Birgit Jutta Käthe Bärbel Renate
Franziska Lena Marie Sophie Hannah Johanna Clara Greta Frieda Elisabeth Dorothea Ingrid Martina Nicole Stefanie
Julia Christina Melanie Verena Annegret Sigrid Elke Mareike Swantje Änne""")

GERMAN_MEN = _words("""Peter Hans Jürgen Wolfgang Klaus Günther Günter Dieter Werner Horst Rüdiger Björn Jörg Sören
Lukas Jonas Felix Maximilian Paul Leon Friedrich Karl Heinrich Otto Michael Thomas Andreas Stefan Christian Matthias
Sebastian Tobias Florian Uwe Holger Detlef Ömer Bülent Jan Malte""")

GERMAN_SURNAMES = _words("""Müller Schröder Krüger Köhler König Möller Böhm Jäger Schäfer Schütz Günther Bäcker Lütke
Görtz Weiß Groß Strauß Preuß Berger Schulz Weber Novak Fischer Wagner Becker Hoffmann Koch Richter Klein Wolf Neumann
Schwarz Zimmermann Braun Hartmann Lange Werner Krause Lehmann Maier Huber Kaiser Fuchs Peters Scholz Lang Vogel
Keller Frank Roth Beck Lorenz Baumann Franke Albrecht Winter Sommer Seidel Heinrich Brandt Haas Graf Dietrich
Ziegler Kuhn Kühn Pohl Engel Horn Busch Bergmann Thomas Voigt Sauer Arnold Pfeiffer Yıldız Öztürk Nowak
Kowalski""")

RUSSIAN_WOMEN = _words("""Елена Ольга Наталья Ирина Светлана Людмила Анастасия Мария Галина Вера Юлия Ксения Раиса
Зинаида""")

RUSSIAN_MEN = _words("""Алексей Сергей Дмитрий Андрей Николай Михаил Виктор Юрий Павел Игорь Константин Вячеслав
Пётр""")

#: A father's name as a daughter and as a son bears it.
PATRONYMICS = [
    ("Сергеевна", "Сергеевич"),
    ("Ивановна", "Иванович"),
    ("Петровна", "Петрович"),
    ("Николаевна", "Николаевич"),
    ("Викторовна", "Викторович"),
    ("Андреевна", "Андреевич"),
    ("Юрьевна", "Юрьевич"),
    ("Фёдоровна", "Фёдорович"),
]

#: A surname as women and as men bear it.
RUSSIAN_SURNAMES = [
    ("Попова", "Попов"),
    ("Иванова", "Иванов"),
    ("Кузнецова", "Кузнецов"),
    ("Соколова", "Соколов"),
    ("Лебедева", "Лебедев"),
    ("Новикова", "Новиков"),
    ("Морозова", "Морозов"),
    ("Волкова", "Волков"),
    ("Соловьёва", "Соловьёв"),
    ("Васильева", "Васильев"),
    ("Зайцева", "Зайцев"),
    ("Щербакова", "Щербаков"),
    ("Журавлёва", "Журавлёв"),
    ("Шевченко", "Шевченко"),
    ("Ахметова", "Ахметов"),
    ("Ким", "Ким"),
]

ENGLISH_WOMEN = ["Emily", "Grace", "Charlotte", "Olivia", "Siobhán", "Zoë"]
ENGLISH_MEN = ["Oliver", "James", "Henry", "Liam", "Connor", "Noah"]
ENGLISH_SURNAMES = ["Clark", "O’Neill", "Turner", "Hughes", "Wright", "MacKenzie", "Patel", "Shaw"]

CITIES = [
    "Neuburg",
    "Altenau",
    "Seefeld",
    "Grünheide",
    "Königsau",
    "Lindenthal",
    "Bad Waldsee",
    "Mühlbach",
]

#: Doctor and room.
DOCTORS = [
    ("Dr. Seitz", "Zimmer 214"),
    ("Dr. Vogel", "Zimmer 108"),
    ("Dr. Öztürk", "Zimmer 112"),
    ("Dr. Krämer", "Zimmer 205"),
    ("Dr. Iwanowa", "Zimmer 301"),
    ("Dr. Lindner", "Zimmer 118"),
    ("Dr. Bäumer", "Zimmer 222"),
    ("Dr. Nguyen", "Zimmer 310"),
]

FINDINGS = [
    "Großes Blutbild",
    "Schilddrüsenwerte",
    "Langzeit-EKG",
    "MRT Knie links",
    "Röntgen Thorax",
    "Urinstatus",
    "Allergietest",
    "HbA1c",
    "Leberwerte",
    "Knochendichte",
]

#: All for documentation and examples (RFC 2606, RFC 6761): nobody can have an address there.
MAIL_DOMAINS = [
    "example.org",
    "example.com",
    "example.net",
    "post.example.org",
    "mail.example.net",
    "nordnetz.example",
    "seepost.example",
]

#: Beginnings of numbers that the Bundesnetzagentur keeps free for films and plays, and how many digits follow.
LANDLINES = [
    ("+49 30 23125", 3),
    ("+49 69 90009", 3),
    ("+49 40 66969", 3),
    ("+49 221 4710", 3),
    ("+49 89 99998", 3),
]
MOBILES = [("+49 171 39200", 2), ("+49 176 040690", 2)]
PHONE_RANGES = [*LANDLINES, *MOBILES]

_LATIN = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        _words("a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh sch . y . e yu ya"),
        strict=True,
    )
)
_LATIN |= {"ъ": "", "ь": ""}
_LATIN |= {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ı": "i", "á": "a", "ë": "e", "’": ""}


def in_latin(text: str) -> str:
    """A name as it stands in a mail address: lower-case ASCII letters."""
    folded = "".join(_LATIN.get(letter, letter) for letter in text.lower())
    return "".join(letter for letter in folded if letter.isascii() and letter.isalnum())
