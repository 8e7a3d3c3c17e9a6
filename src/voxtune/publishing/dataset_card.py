"""The card of a published dataset: what it is, how it came about, whose voice it is and what must not be done with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from voxtune.languages import LANGUAGES
from voxtune.publishing.card_text import LICENCES, front_matter, hub_languages, plain
from voxtune.publishing.dataset_record import DatasetRecord, Side, Source

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"
_TERMS = (
    "Nobody may clone or imitate this voice with it, or make it say what was never said;",
    "nobody may use it to find out whose voice it is, or to know the speaker again elsewhere;",
    "nobody may judge the speaker's health, origin, feelings or character by it;",
    "whoever passes it on passes these terms on, and deletes their copies when the speaker withdraws it.",
)
_PROBLEMS = {
    "silent": "nothing to hear",
    "short": "too short",
    "long": "too long",
    "cut_start": "cut at the start",
    "cut_end": "cut at the end",
    "dropouts": "gaps",
    "clipped": "too loud",
    "noisy": "noisy",
    "quiet": "quiet",
    "fast": "faster than usual",
    "slow": "slower than usual",
    "narrow": "a narrow band, as of a telephone",
}
_ORIGINS = {
    "pack": "with a sentence that comes with voxtune (Apache 2.0)",
    "practice": "with a sentence of voxtune's practice language of about a hundred words (Apache 2.0)",
    "file": "with a sentence that the publisher brought",
    "": "with a transcript that the publisher brought",
}


def build(record: DatasetRecord) -> str:
    """The whole README.md. Whatever stands in transcripts and records is shown as it is, and is neither YAML, Markdown nor HTML."""
    text = Template((Path(__file__).parent / "templates" / "dataset_card.md").read_text(encoding="utf-8"))
    names, consent = _languages(record), record.consent
    codes = ", ".join(f"`{code}`" for code in record.languages)
    return (
        front_matter(metadata(record))
        + "\n"
        + text.substitute(
            repo=record.repo,
            title=f"Recordings in {names}" if names else "Recordings with transcripts",
            num_clips=_count(record.num_clips, "clip"),
            minutes=_minutes(record.duration_s),
            spoken=f"in {names} ({codes})" if names else "in a language that is not named",
            sides="\n".join(_row(side, of_side) for side, of_side in record.sides.items()),
            first_side=next(iter(record.sides)),
            examples=_listed(plain(text) for text in record.examples),
            terms=_listed(_TERMS),
            recording=_listed(_recording(record)),
            sources=_listed(_source(source) for source in record.sources),
            split=_split(record),
            confirmed_by=f"the account {plain(consent.by)}" if consent.by else "whoever published it",
            confirmed_on=f" on {plain(consent.confirmed_at[:10])}" if consent.confirmed_at else "",
            voice=consent.meaning,
            licence=_licence(record),
        )
    )


def metadata(record: DatasetRecord) -> dict[str, Any]:
    """The head of the card, by the Hub's names."""
    names = _languages(record)
    from_granary = any(source.name == "granary" for source in record.sources)
    return {
        "language": hub_languages(record.languages),
        "license": record.licence,
        "pretty_name": f"Recordings in {names}" if names else "Recordings with transcripts",
        "size_categories": [next((name for limit, name in _SIZES if record.num_clips < limit), _LARGEST)],
        "task_categories": ["automatic-speech-recognition"],
        "annotations_creators": ["other"],  # whoever speaks says what is said; the Hub has no word for that
        "source_datasets": ["nvidia/Granary"] if from_granary else ["original"],
        "tags": ["voxtune", "audio", "speech", *(["read-speech"] if record.recording.num_read else [])],
        # Folders named one by one, so that data.jsonl is not taken for a part of it.
        "configs": [{"config_name": "default", "data_files": [{"split": side, "path": f"{side}/**"} for side in record.sides]}],
        "extra_gated_heading": "These are recordings of a voice",
        "extra_gated_prompt": " ".join(_TERMS),
        "extra_gated_fields": {
            "I will not clone or imitate this voice, nor try to find out whose it is": "checkbox",
            "I will delete my copies if the speaker withdraws it": "checkbox",
            "What I will use it for": "text",
        },
        "extra_gated_button_content": "I agree",
    }


def _languages(record: DatasetRecord) -> str:
    names = [LANGUAGES[code].english if code in LANGUAGES else code for code in record.languages]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def _listed(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _row(name: str, side: Side) -> str:
    voices = "not counted" if side.num_speakers is None else side.num_speakers
    return f"| {name} | {side.num_clips:,} | {_minutes(side.duration_s)} | {voices} |"


def _recording(record: DatasetRecord) -> Iterator[str]:
    how = record.recording
    if how.num_read:
        yield f"{_count(how.num_read, 'clip')} read aloud from the screen, one sentence at a time, where each can be listened to and read again."
        unsaid = how.num_read - how.num_raw - how.num_processed
        said = [(how.num_raw, "with echo cancelling, gain control and noise suppression off"), (how.num_processed, "with some of them on")]
        told = "; ".join(f"{number:,} {state}" for number, state in [*said, (unsaid, "where the browser did not say")] if number)
        yield f"The microphone, of those: {told}."
    if how.num_uploaded:
        yield f"{_count(how.num_uploaded, 'clip')} sent as files with their transcripts."
    if how.num_imported:
        yield f"{_count(how.num_imported, 'clip')} imported with their transcripts; how they were recorded is not known here."
    yield "As 16-bit PCM WAV: " + ", ".join(f"{number:,} at {rate_hz:,} Hz" for rate_hz, number in how.rates_hz.items()) + "."
    if how.months:
        yield f"Recorded in {how.months[0]}." if len(how.months) == 1 else f"Recorded from {how.months[0]} to {how.months[-1]}."
    if num_takes := how.num_read + how.num_uploaded:
        kept = f"; {how.num_accepted:,} of the others were kept on purpose" if how.num_accepted else ""
        yield f"Checked as they were saved: nothing to find fault with in {how.num_good:,} of {num_takes:,}{kept}."
    if how.problems:
        yield "Found: " + ", ".join(f"{_PROBLEMS.get(code, plain(code))} ({number:,})" for code, number in how.problems.items()) + "."
    if how.snr_db is not None:
        yield f"Speech stands {how.snr_db:.0f} dB above the room (median)."


def _source(source: Source) -> str:
    count = _count(source.num_clips, "clip")
    licence, named = plain(source.licence), plain(source.attribution)
    if source.name == "granary":
        known = re.fullmatch(r"[0-9a-f]{7,40}", source.revision)
        address = "https://huggingface.co/datasets/nvidia/Granary" + (f"/tree/{source.revision}" if known else "")
        at = f"at revision `{source.revision[:12]}`" if known else "at a revision that is not known here"
        licence, named = licence or "not known here", named or "not known here"
        return f"{count} with a sentence of [nvidia/Granary]({address}) {at}. Licence of the sentences: {licence}. Attribution: {named}."
    told = _ORIGINS.get(source.name, f"with a sentence of {plain(source.name)}{f' ({licence})' if licence else ''}")
    return f"{count} {told}{f': {named}' if named else ''}."


def _split(record: DatasetRecord) -> str:
    if len(record.sides) == 1:
        return "It is not: there are too few different sentences to hold some of them out."
    apart = " and no voice" if record.speakers_apart else ""
    return (
        f"By sentence: no sentence{apart} stands on two sides, whatever its case and punctuation. `train` is trained on, `validation` chooses the best\n"
        "checkpoint, and `test` tells how well sentences are understood that were never heard. What was held out once stays held out as the dataset grows."
    )


def _licence(record: DatasetRecord) -> str:
    if record.licence is None:
        told = "None was chosen: all rights stay with the speaker. Ask before you do anything with it."
    else:
        name, address = LICENCES[record.licence]
        told = f"The recordings: [{name}]({address}). What it may not be used for, above, holds besides."
    return told + (" The sentences are under the licences named with them." if any(source.licence for source in record.sources) else "")
