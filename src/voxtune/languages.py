"""The table of languages: what each is called, and what Voxtral knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voxtune.errors import SettingsError

Knowledge = Literal["trained", "partly", "new"]
"""`trained`: named by Mistral as supported (model card of Voxtral-Mini-3B-2507). `partly`: of Whisper's languages, whose encoder
Voxtral's tower comes from. `new`: neither."""


@dataclass(frozen=True)
class Language:
    """One language by its ISO 639-1 code."""

    code: str
    name: str
    english: str
    knowledge: Knowledge
    granary: bool
    """Whether nvidia/Granary has sentences of it."""


LANGUAGES: dict[str, Language] = {
    row[0]: Language(*row)
    for row in (
        ("ar", "العربية", "Arabic", "trained", False),
        ("bg", "български", "Bulgarian", "partly", True),
        ("cs", "čeština", "Czech", "partly", True),
        ("da", "dansk", "Danish", "partly", True),
        ("de", "Deutsch", "German", "trained", True),
        ("el", "Ελληνικά", "Greek", "partly", True),
        ("en", "English", "English", "trained", True),
        ("es", "español", "Spanish", "trained", True),
        ("et", "eesti", "Estonian", "partly", True),
        ("fi", "suomi", "Finnish", "partly", True),
        ("fr", "français", "French", "trained", True),
        ("hi", "हिन्दी", "Hindi", "trained", False),
        ("hr", "hrvatski", "Croatian", "partly", True),
        ("hu", "magyar", "Hungarian", "partly", True),
        ("it", "italiano", "Italian", "trained", True),
        ("lt", "lietuvių", "Lithuanian", "partly", True),
        ("lv", "latviešu", "Latvian", "partly", True),
        ("mt", "Malti", "Maltese", "partly", True),
        ("nl", "Nederlands", "Dutch", "trained", True),
        ("pl", "polski", "Polish", "partly", True),
        ("pt", "português", "Portuguese", "trained", True),
        ("ro", "română", "Romanian", "partly", True),
        ("ru", "русский", "Russian", "partly", True),
        ("sk", "slovenčina", "Slovak", "partly", True),
        ("sl", "slovenščina", "Slovenian", "partly", True),
        ("sv", "svenska", "Swedish", "partly", True),
        ("uk", "українська", "Ukrainian", "partly", True),
    )
}


def check_code(code: str) -> str:
    """`code` in lower case, if it is a two-letter code as Voxtral's prompt takes it (any of ISO 639-1, in the table or not).

    Raises SettingsError otherwise: Voxtral's tokenizer refuses names, three-letter codes and "auto".
    """
    lowered = code.lower()
    if len(lowered) != 2 or not lowered.isascii() or not lowered.isalpha():
        known = " ".join(LANGUAGES)
        hint = f"Use a two-letter code, one of: {known}; or leave the language out for automatic detection."
        raise SettingsError(f"language {code!r} is not a two-letter ISO 639-1 code.", hint=hint)
    return lowered
