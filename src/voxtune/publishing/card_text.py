"""What all cards are made of: text that Markdown shows as it stands, YAML that nothing in it can break, licences and languages as the Hub names them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from voxtune.errors import CallError

LICENCES: dict[str, tuple[str, str]] = {
    "cc0-1.0": ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    "cc-by-4.0": ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    "cc-by-sa-4.0": ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
    "cc-by-nc-4.0": ("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/"),
    "cc-by-nd-4.0": ("CC BY-ND 4.0", "https://creativecommons.org/licenses/by-nd/4.0/"),
    "cc-by-nc-sa-4.0": ("CC BY-NC-SA 4.0", "https://creativecommons.org/licenses/by-nc-sa/4.0/"),
    "cc-by-nc-nd-4.0": ("CC BY-NC-ND 4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/"),
    "odc-by": ("ODC-BY 1.0", "https://opendatacommons.org/licenses/by/1-0/"),
    "odbl": ("ODbL 1.0", "https://opendatacommons.org/licenses/odbl/1-0/"),
    "pddl": ("PDDL 1.0", "https://opendatacommons.org/licenses/pddl/1-0/"),
    "cdla-permissive-2.0": ("CDLA-Permissive-2.0", "https://cdla.dev/permissive-2-0/"),
    "apache-2.0": ("Apache 2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    "mit": ("MIT", "https://opensource.org/license/mit"),
}
"""By the Hub's names: what each is called, and where it stands."""

# ISO 639-1. The Hub refuses a card that names another; Voxtral's prompt takes any two letters.
_LANGUAGES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy "
    "ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo "
    "lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk "
    "sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
# Whatever Markdown, its tables, HTML or the Hub's formulas take for their own within a line; at the start of one; and what makes a link of plain words.
_MARKS = re.compile(r"[\\`*_\[\]<>|~&@$]|^[-+=#]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain(text: str) -> str:
    """`text` on one line as Markdown that shows it letter by letter: no link, no HTML, no other direction of writing for what follows."""
    shown = "".join(letter for letter in " ".join(text.split()) if unicodedata.category(letter) != "Cc" and letter not in _TURNS)
    return _MARKS.sub(r"\\\g<0>", shown)


def front_matter(values: Mapping[str, Any]) -> str:
    """The YAML at the head of a card; nothing in `values` can break out of it. What is None or empty is left out."""
    kept = {name: value for name, value in values.items() if value not in (None, "", [], {})}
    return f"---\n{yaml.safe_dump(kept, allow_unicode=True, sort_keys=False, width=10_000)}---\n"


def hub_languages(codes: Iterable[str]) -> list[str]:
    """Those of `codes` that the Hub takes in a card."""
    return sorted({code for code in codes if code in _LANGUAGES.split()})


def check_licence(given: str) -> None:
    """Raise CallError for a licence that is not one of LICENCES."""
    if given not in LICENCES:
        raise CallError(f"{given[:60]!r} is no licence that can be chosen here.", hint=f"Choose one of {', '.join(LICENCES)}.")
