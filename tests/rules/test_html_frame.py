"""HTML finished by its frame is, byte for byte, what cleaning the finished text gives."""

from __future__ import annotations

import nh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_dispatch_plugin.channels import html_frame
from clinic_dispatch_plugin.channels.html import clean_html
from clinic_dispatch_plugin.channels.html_frame import Frames
from clinic_dispatch_plugin.channels.text import EmptyPlaceholder, parse

SOURCES = (
    '<p>Hallo {{ name }}, <a href="https://clinic.example/">{{ b }}</a></p>',
    '<a href="https://clinic.example/{{ name }}" title="{{ b }}">x</a>',
    "<table>{{ name }}<tr><td>{{ b }}</td></tr></table>",
    "<script>{{ name }}</script>{{ b }}",
    "<pre>{{ name }}</pre><!-- {{ b }} -->",
    "<b {{ name }}>{{ b }}</b>",
    '<p style="color: {{ name }}">{{ b }}</p>',
    "{% if name %}<li>{{ name }}{% else %}<b>{{ b }}{% endif %}",
    '{{ name | default: "<i>" }}<{{ b }}>',
)
PIECES = st.sampled_from(
    ["<", ">", "&", '"', "'", "<b>", "</p>", "</td>", "-->", "&lt;", "javascript:", "\n", " ", "\t"]
)
VALUES = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=6).map("".join)


@pytest.mark.parametrize("source", SOURCES)
@given(name=VALUES, b=VALUES)
def test_a_frame_gives_what_cleaning_the_whole_gives(source: str, name: str, b: str) -> None:
    template, values = parse(source), {"name": name, "b": b}
    try:
        whole = clean_html(template.render(values, locale="de", escape=nh3.clean_text))
    except EmptyPlaceholder:
        with pytest.raises(EmptyPlaceholder):
            Frames(template).render(values, "de")
        return
    frames = Frames(template)
    assert [frames.render(values, "de") for _ in range(2)] == [whole, whole]


def test_a_usual_text_is_cleaned_once_for_all_its_recipients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cleaned = []

    def counted(html: str) -> str:
        cleaned.append(html)
        return clean_html(html)

    monkeypatch.setattr(html_frame, "clean_html", counted)
    frames = Frames(parse("<p>Guten Tag {{ name }},</p><p>wir erwarten Sie.</p>"))
    said = [frames.render({"name": f"Müller & {n}"}, "de") for n in range(20)]
    assert said[7] == "<p>Guten Tag Müller &amp; 7,</p><p>wir erwarten Sie.</p>"
    assert len(cleaned) == 2  # the shape, and the proof that values stay text in it


def test_a_value_in_an_attribute_is_looked_at_each_time() -> None:
    frames = Frames(parse('<a href="{{ link }}">hier</a>'))
    assert 'href="https://clinic.example/"' in frames.render(
        {"link": "https://clinic.example/"}, ""
    )
    assert "href" not in frames.render({"link": "javascript:alert(1)"}, "")
