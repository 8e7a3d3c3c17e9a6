"""The card of a dataset: whatever stands in its records, it is one valid head, and text that is shown as it is."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from voxtune.errors import CallError
from voxtune.publishing import dataset_card
from voxtune.publishing.card_text import LICENCES, check_licence, front_matter, hub_languages, plain
from voxtune.publishing.consent import EITHER, VOICES, Consent
from voxtune.publishing.dataset_record import DatasetRecord, Recording, Side, Source

HOSTILE = [
    "---\nlicense: mit\n---",
    "# Not a heading",
    "1. no list",
    "- nor this",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![pixel](https://evil.example/x.png)",
    "https://evil.example and www.evil.example",
    "| a | table |",
    "`code` *bold* _slanted_ ~~struck~~ $x^2$",
    "&lt;b&gt; &amp; a \\ backslash",
    "\u202eright to left\u202c",
    "tag: @alice #1",
    "{{ jinja }} {% raw %} ${HOME} $repo",
    "'''\"\"\" : {}",
]

RECORD = DatasetRecord(
    repo="alice/voice",
    languages=("de",),
    sides={"train": Side(num_clips=1_200, duration_s=4_000.0, num_speakers=1), "test": Side(num_clips=3, duration_s=12.0, num_speakers=None)},
    speakers_apart=False,
    examples=("Guten Tag.",),
    sources=(Source(name="pack", num_clips=1_203, revision="", licence="Apache-2.0", attribution=""),),
    recording=Recording(
        num_read=1_203,
        num_uploaded=0,
        num_imported=0,
        rates_hz={44_100: 3, 48_000: 1_200},
        num_raw=1_000,
        num_processed=3,
        months=("2026-03", "2026-05"),
        num_good=1_100,
        num_accepted=3,
        problems={"noisy": 80, "cut_end": 23},
        snr_db=31.4,
    ),
    consent=Consent(voice="own", confirmed_at="2026-05-04T03:02:01+00:00", by="alice"),
    licence="cc-by-4.0",
)


def head(record: DatasetRecord) -> dict[str, Any]:
    """The card's metadata as the Hub's client reads it."""
    values: dict[str, Any] = DatasetCard(dataset_card.build(record)).data.to_dict()
    return values


def shown(text: str) -> str:
    """A card's text as a page of HTML, by GitHub's rules with links of plain addresses."""
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_shown_letter_by_letter(text: str) -> None:
    rendered = shown(f"- {plain(text)}")
    found = re.fullmatch(r"<ul>\n<li>(.*)</li>\n</ul>\n", rendered, re.DOTALL)
    assert found
    assert re.findall(r"<[^>]*>", found[1]) == []
    assert html.unescape(found[1]) == " ".join(re.sub("[\u202a-\u202e]", "", text).split())
    assert not re.search(r"(?<!\\)https?://|www\.", plain(text))  # GitHub's rules make links of these


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_record_breaks_the_card(text: str) -> None:
    source = Source(name="granary", num_clips=1, revision=text, licence=text, attribution=text)
    other = replace(source, name=text)
    consent = Consent(voice="permission", confirmed_at=text, by=text)
    hostile = replace(RECORD, examples=(text, text), sources=(source, other), consent=consent)
    expected = head(replace(RECORD, sources=(replace(source, revision="", licence="", attribution=""),)))
    assert head(hostile) == expected
    body = dataset_card.build(hostile).split("\n---\n", 1)[1]
    tags = set(re.findall(r"<(\w+)", shown(body)))
    assert tags <= {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "a"}
    assert set(re.findall(r'href="([^"]*)"', shown(body))) == {"https://huggingface.co/datasets/nvidia/Granary", LICENCES["cc-by-4.0"][1]}
    assert shown(body).count("<h2>") == 7


def test_the_head_says_it_by_the_hubs_names() -> None:
    found = head(RECORD)
    assert found["license"] == "cc-by-4.0"
    assert found["size_categories"] == ["1K<n<10K"]
    assert found["source_datasets"] == ["original"]
    assert [each["split"] for each in found["configs"][0]["data_files"]] == ["train", "test"]
    assert "license" not in head(replace(RECORD, licence=None))


def test_languages_that_the_hub_refuses_are_left_out_of_the_head_and_norwegian_is_no_truth_value() -> None:
    assert hub_languages(["no", "zz", "de", "de"]) == ["de", "no"]
    assert yaml.safe_load(front_matter({"language": ["no"], "empty": []}).strip("-\n")) == {"language": ["no"]}
    record = replace(RECORD, languages=("no", "zz"))
    assert head(record)["language"] == ["no"]
    assert "no and zz" in dataset_card.build(record)
    assert "language" not in head(replace(RECORD, languages=()))
    assert "a language that is not named" in dataset_card.build(replace(RECORD, languages=()))


def test_it_says_how_it_was_recorded() -> None:
    card = dataset_card.build(RECORD)
    for fact in (
        "1,203 clips, 66.9 minutes of speech in German (`de`)",
        "| train | 1,200 | 66.7 | 1 |",
        "| test | 3 | 0.2 | not counted |",
        "1,000 with echo cancelling, gain control and noise suppression off; 3 with some of them on; 200 where the browser did not say",
        "3 at 44,100 Hz, 1,200 at 48,000 Hz",
        "Recorded from 2026-03 to 2026-05.",
        "nothing to find fault with in 1,100 of 1,203; 3 of the others were kept on purpose",
        "noisy (80), cut at the end (23)",
        "31 dB above the room",
        "the account alice confirmed on 2026-05-04: these are recordings of my own voice",
        "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/)",
    ):
        assert fact in card, fact


@pytest.mark.parametrize("voice", [*VOICES, EITHER])
def test_it_says_whose_voice_it_is(voice: str) -> None:
    consent = Consent(voice=voice, confirmed_at="", by="")
    assert f"these are recordings of {consent.meaning}" in dataset_card.build(replace(RECORD, consent=consent))


def test_a_licence_that_the_hub_does_not_know_is_refused_with_those_it_does() -> None:
    for known in LICENCES:
        check_licence(known)
    with pytest.raises(CallError, match=r"cc-by-4\.0"):
        check_licence("CC-BY")
