from __future__ import annotations

import unicodedata

import pytest

from voxtune.languages import LANGUAGES
from voxtune.phrases import cleaning, pack

# Letters that a language cannot do without, and that a machine's typing likes to lose.
OWN_LETTERS = {
    "bg": "ъщюя", "cs": "ěščřžýáíéůúťďň", "da": "æøå", "de": "äöüß", "el": "άέήίόύώς", "es": "ñáéíóú", "et": "õäöü", "fi": "äö",
    "fr": "éèêçàôû", "hr": "čćđšž", "hu": "áéíóöőúüű", "it": "àèéìòù", "lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž", "mt": "ċġħż", "nl": "ijë",
    "pl": "ąćęłńóśźż", "pt": "ãõçáéíóúâêô", "ro": "ăâîșț", "ru": "ыэёъщ", "sk": "áäčďéíľĺňóôŕšťúýž", "sl": "čšž", "sv": "åäö", "uk": "ґєіїщь",
    "hi": "अआईउएकखगघचजझटठडढणतथदधनपफबभमयरलवशषसह", "ar": "ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءأإ", "en": "abcdefghijklmnopqrstuvwxyz",
}  # fmt: skip

ALLOWED = set(" .,!?'’-–¿¡;।؟،")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_pack_is_whole_clean_and_of_its_language(language: str) -> None:
    sentences = pack.sentences(language)
    assert len(sentences) >= 120
    assert len({cleaning.sentence_key(sentence) for sentence in sentences}) == len(sentences)
    starts = [" ".join(sentence.casefold().split()[:3]) for sentence in sentences]
    assert len(set(starts)) >= 0.95 * len(starts)
    text = "".join(sentences)
    assert text == unicodedata.normalize("NFC", text)
    script = cleaning.SCRIPTS.get(language, "LATIN")
    for sentence in sentences:
        assert sentence == " ".join(sentence.split())
        assert 8 <= len(sentence) <= 100, sentence
        assert sentence[-1] in ".!?;।؟", sentence
        strange = [letter for letter in sentence if not (unicodedata.category(letter)[0] in "LM" or letter in ALLOWED)]
        assert not strange, f"{strange} in {sentence}"
        assert all(unicodedata.name(letter).startswith(script) for letter in sentence if letter.isalpha()), sentence
    lower = text.lower()
    assert [letter for letter in OWN_LETTERS[language] if lower.count(letter) < 2] == []


@pytest.mark.parametrize(
    ("line", "language", "kept"),
    [
        ("The cat sleeps on the warm stove. It is late!", "en", ["The cat sleeps on the warm stove."]),
        ("Ein Satz über den schönen Garten. Und noch einer über die Brücke?", "de", ["Ein Satz über den schönen Garten.", "Und noch einer über die Brücke?"]),
        ("♪ We sing a song today ♪", "en", []),
        ("We met 12 people there today.", "en", []),
        ("He said (quietly) that we should go.", "en", []),
        ("the start of this one is missing.", "en", []),
        ("This one has no end and goes", "en", []),
        ("No no no no no no.", "en", []),
        ("THIS IS SHOUTED AT ALL OF US.", "en", []),
        ("Ο σκύλος κοιμάται στον κήπο μας.", "el", ["Ο σκύλος κοιμάται στον κήπο μας."]),
        ("Ο σκύλος κοιμάται στον κήπο μας.", "en", []),
        ("Собака спить у нашому великому саду.", "uk", ["Собака спить у нашому великому саду."]),
        ("मेरी बहन आज बाज़ार जा रही है।", "hi", ["मेरी बहन आज बाज़ार जा रही है।"]),
        ("هل تعرف أين وضعت المفتاح اليوم؟", "ar", ["هل تعرف أين وضعت المفتاح اليوم؟"]),
        ("Subtitles by the friends of the cinema club.", "en", []),
        ("Anna Berta Clara Dora Emma Frida.", "de", []),
    ],
)
def test_only_what_can_be_read_aloud_is_kept(line: str, language: str, kept: list[str]) -> None:
    assert list(cleaning.sentences(line, language)) == kept
