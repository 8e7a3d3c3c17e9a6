"""Takes out of texts what is nobody's business: secrets, the home folder, the names of person and machine, and words that were said."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

SECRET, TEXT = "[secret]", "[text]"
TEXT_KEYS = frozenset({"text", "heard", "transcript", "transcription", "sentence", "base_text", "tuned_text", "samples", "loss_text"})

_SECRET_NAMES = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "KEY")
_PLAIN = frozenset({"true", "false", "none", "null", "auto", "default", "enabled", "disabled"})
_NAMELESS = frozenset({"root", "user", "home", "localhost", "voxtune"})
_SHAPES = re.compile(
    r"""(?<![A-Za-z0-9])(?:hf|api)_(?:(?=[\w.-]*[A-Z0-9])[\w.-]{8,}|[\w.-]{20,})      # hf_hub_download is none, hf_AbC012... is one
    | (?<![A-Za-z0-9])(?:sk-|gh[opsur]_|github_pat_|glpat-|AKIA|xox[abprs]-)[\w-]{10,}
    | (?i:\bbearer\s+)[^\s"',}\]]+
    | (?i:\bauthorization)["']?\s*[:=]\s*["']?(?:\w+\s+)?[^\s"',}]+
    | (?<=://)[^\s/"']+(?=@)""",
    re.VERBOSE,
)
_ASSIGNED = re.compile(r"""((?:token|secret|password|passwd|api_?key)["']?\s*[=:]\s*["']?)[^\s"',&;}\])\[]{6,}""", re.IGNORECASE)


class Scrubber:
    """Takes out what is nobody's business."""

    def __init__(self, spoken: Iterable[str]) -> None:
        # Shorter ones are words that logs use as well.
        self._spoken = sorted({form for text in spoken if len(text) >= 8 for form in _forms(text)}, key=len, reverse=True)
        self._secrets = _any_of(re.escape(form) if len(form) >= 8 else rf"(?<!\w){re.escape(form)}(?!\w)" for secret in _secrets() for form in _forms(secret))
        self._home = _any_of(rf"(?<![\w.]){re.escape(home)}(?![\w-])" for home in _homes())
        self._user = _any_of(map(_as_name, _said_by(getpass.getuser, lambda: Path.home().name)))
        self._host = _any_of(map(_as_name, _said_by(socket.gethostname, lambda: socket.gethostname().partition(".")[0])))

    def text(self, text: str) -> str:
        """Without secrets, words said, home and names."""
        for spoken in self._spoken:
            text = text.replace(spoken, TEXT)
        text = self._home.sub("~", self._hidden(text))
        return self._host.sub("[host]", self._user.sub("[user]", text))

    def value(self, value: Any) -> Any:
        """The same for all texts in a JSON value; of what stands under a text's key nothing remains."""
        if isinstance(value, dict):
            return {self._hidden(str(key)): TEXT if key in TEXT_KEYS else self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def row(self, row: dict[str, Any]) -> Any:
        """The same for a line of a run's file, where an event of samples keeps none of them."""
        return self.value(row) | ({"samples": []} if row.get("event") == "samples" else {})

    def _hidden(self, text: str) -> str:
        return _ASSIGNED.sub(rf"\1{SECRET}", _SHAPES.sub(SECRET, self._secrets.sub(SECRET, text)))


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Finds each of them, the longest first; nothing where there are none."""
    return re.compile("|".join(sorted(set(patterns), key=len, reverse=True)) or r"(?!)", re.IGNORECASE)


def _as_name(name: str) -> str:
    """A name as a word of its own; a very short one only as a whole part of a path, where it can be no other word."""
    before, after = (r"(?<![^\W_])", r"(?![^\W_])") if len(name) >= 3 else (r"(?<=[/\\])", r"(?=[/\\]|$)")
    return f"{before}{re.escape(name)}{after}"


def _forms(text: str) -> set[str]:
    """The text as it stands in plain text, in an address, and in JSON."""
    return {text, quote(text, safe=""), json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}


def _secrets() -> set[str]:
    """What this person's environment and the Hub's token store hold."""
    values = [value.splitlines() for name, value in os.environ.items() if any(word in name.upper() for word in _SECRET_NAMES)]
    found = {part.strip() for lines in values for part in (*lines, "".join(lines))}  # joined: huggingface_hub takes line ends out of tokens
    with contextlib.suppress(ImportError, ValueError):
        from huggingface_hub import constants

        for place in (constants.HF_TOKEN_PATH, constants.HF_STORED_TOKENS_PATH):
            with contextlib.suppress(OSError):
                lines = Path(place).read_text(encoding="utf-8", errors="replace").splitlines()
                found |= {(line.partition(" = ")[2] or line).strip() for line in lines}
    return {secret for secret in found if len(secret) >= 4 and secret.lower() not in _PLAIN}


def _homes() -> set[str]:
    with contextlib.suppress(RuntimeError):  # a person without a home
        return {str(Path.home()), str(Path.home().resolve())} - {"/"}
    return set()


def _said_by(*sources: Callable[[], str]) -> set[str]:
    """Names, where the system knows them and they are a person's or a machine's own."""
    names = set()
    for source in sources:
        with contextlib.suppress(OSError, KeyError, ImportError, RuntimeError):
            names.add(source())
    return {name for name in names if name and name.lower() not in _NAMELESS}
