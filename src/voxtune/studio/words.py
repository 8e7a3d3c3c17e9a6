"""The studio's own words in the visitor's language: one JSON file a language, the same keys in each.

Labels of Gradio's components are translated in the browser (gr.I18n); what is said later is put in words here, by the language
that the browser asks for.
"""

from __future__ import annotations

import contextvars
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

import gradio as gr
from gradio.i18n import I18nData
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

LANGUAGES = ("en", "de", "fr", "es", "it", "pl", "uk")
"""Languages that the studio speaks, English for all others."""

_asked: contextvars.ContextVar[str] = contextvars.ContextVar("language of the page that is being served", default="en")


class Words(dict[str, str]):
    """The words of one language by their keys."""

    def __init__(self, language: str, words: Mapping[str, str]) -> None:
        super().__init__(words)
        self.language = language

    def say(self, key: str, **values: object) -> str:
        """The words of `key` with values in their places; the key itself where there are none."""
        said = self.get(key, key)
        for name, value in values.items():
            said = said.replace("{" + name + "}", str(value))
        return said


@functools.cache
def words(language: str) -> Words:
    """The words of one of LANGUAGES; what is not translated is English."""
    return Words(language, {**_file("en"), **_file(language)})


def _file(language: str) -> dict[str, str]:
    text = (resources.files("voxtune.studio") / "words" / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def of(request: gr.Request | Request) -> Words:
    """The words of the visitor who made a request."""
    return words(chosen(request.headers.get("accept-language", "")))


def chosen(header: str) -> str:
    """The first of LANGUAGES that an Accept-Language header prefers (RFC 9110 12.5.4), else English."""
    wishes = []
    for place, part in enumerate(header.split(",")):
        tag, _, quality = part.partition(";q=")
        try:
            wishes.append((-float(quality or 1), place, tag.strip().lower().split("-")[0]))
        except ValueError:
            continue
    return next((tag for _, _, tag in sorted(wishes) if tag in LANGUAGES), "en")


class AskedLanguage:
    """Middleware that remembers which language the page being served is wanted in."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            _asked.set(chosen(Headers(scope=scope).get("accept-language", "")))
        await self._app(scope, receive, send)


class _OneLanguage(dict[str, dict[str, str]]):
    """Translations that, when the page's config is copied for a visitor, are only those of that visitor: a seventh of the weight."""

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, dict[str, str]]:
        return {_asked.get(): dict(self[_asked.get()])}


class _Label(I18nData):
    """Words to be translated in the browser, by their key alone: a page has a hundred of these."""

    def to_dict(self) -> dict[str, Any]:
        """As the browser reads it."""
        return {"key": self.key}


class Labels(gr.I18n):
    """The words that components show, translated in the browser."""

    def __init__(self) -> None:
        super().__init__()
        self._used: set[str] = set()

    def __call__(self, key: str) -> Any:
        """The words of `key`, for a component's label, info, placeholder or value. Raises KeyError for a key that is not in the words."""
        assert key in words("en"), f"no words for {key}"
        self._used.add(key)
        return _Label(key)

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        """The words used by components, of all languages; copied for one visitor, of theirs alone."""
        return _OneLanguage({code: {key: words(code)[key] for key in sorted(self._used)} for code in LANGUAGES})
