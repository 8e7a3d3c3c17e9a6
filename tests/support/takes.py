"""Takes made of the demo voice, as the recorder would send them."""

from __future__ import annotations

from pathlib import Path

from voxtune import audio
from voxtune.phrases.phrase import Phrase, PhraseList
from voxtune.recordings.takes import Take, Takes, new_key

DEMO = Path(__file__).parent.parent.parent / "examples" / "demo_voice"


def demo_lines(count: int) -> list[tuple[Path, str]]:
    """Clips of the demo voice and what is said in them, each sentence once."""
    found: dict[str, Path] = {}
    for line in (DEMO / "metadata.csv").read_text().splitlines():
        name, text = line.split("|")[:2]
        found.setdefault(text, DEMO / "wavs" / f"{name}.flac")
    return [(path, text) for text, path in list(found.items())[:count]]


def wav_of(clip: Path) -> bytes:
    """A clip as the page would send it."""
    return audio.write_wav(audio.read(clip))


def phrase(text: str, language: str = "en") -> Phrase:
    """A sentence of one's own."""
    return Phrase(text=text, language=language, source="file")


def phrase_list(texts: list[str], language: str = "en") -> PhraseList:
    """Sentences of one's own in their order."""
    return PhraseList(language=language, source="file", phrases=[phrase(text, language) for text in texts])


def record(takes: Takes, count: int) -> list[Take]:
    """Save the first clips of the demo voice as takes of their sentences."""
    return [takes.save(wav_of(path), phrase(text), key=new_key()) for path, text in demo_lines(count)]
