"""Addresses of the recorder: the sentences to read, and the takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute

from voxtune import audio
from voxtune.errors import CallError
from voxtune.languages import LANGUAGES
from voxtune.phrases.coverage import covered_share
from voxtune.phrases.phrase import Phrase
from voxtune.recordings.reading import MAX_ROWS, ReadingList
from voxtune.recordings.takes import MAX_DEVICE_BYTES, Take
from voxtune.studio import sentences, words
from voxtune.studio.access import Gate, Room
from voxtune.studio.routes import body, json_body, route

MAX_TAKE_S = 34
"""The page stops at 30 s; the rest is for the moments before and after."""
MAX_TAKE_BYTES = 44 + 2 * audio.MAX_RATE_HZ * MAX_TAKE_S
_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})


def routes(gate: Gate) -> list[BaseRoute]:
    """All of them."""
    return [
        route(gate, "reading", _reading),
        route(gate, "reading/more", _more, method="POST"),
        route(gate, "reading/skip", _skip, method="POST"),
        route(gate, "takes/{phrase}", _put, method="PUT"),
        route(gate, "takes/{take}/audio", _audio),
        route(gate, "takes/{take}/{change}", _change, method="POST"),
    ]


async def _reading(request: Request, room: Room) -> Any:
    """With `show` the first sentences count as shown, and stay; a page that has not come to them yet asks without."""
    reading = room.reading.show if "show" in request.query_params else room.reading.needed
    return await run_in_threadpool(lambda: reading_json(room, reading(), words.of(request)))


async def _more(request: Request, room: Room) -> Any:
    return await run_in_threadpool(lambda: reading_json(room, room.reading.more(), words.of(request)))


async def _skip(request: Request, room: Room) -> Any:
    asked = await json_body(request)
    phrase, reason = str(asked.get("phrase", "")), str(asked.get("reason", ""))
    return await run_in_threadpool(lambda: reading_json(room, room.reading.skip(phrase, reason), words.of(request)))


async def _put(request: Request, room: Room) -> Any:
    phrase = await run_in_threadpool(room.reading.find, request.path_params["phrase"])
    device = _device(request.headers.get("x-vx-device", ""))
    data = await body(request, MAX_TAKE_BYTES)
    key = request.headers.get("x-vx-take", "")
    return await run_in_threadpool(lambda: _answer(room, room.takes.save(data, phrase, key=key, device=device)))


def _device(header: str) -> dict[str, Any]:
    """What the page says of the microphone: plain facts, and few. No take is refused for what is said of it."""
    if len(header) > MAX_DEVICE_BYTES:
        return {}
    try:
        said = json.loads(header, parse_constant=lambda _: None) if header else {}
    except ValueError:
        return {}
    plain = said.items() if isinstance(said, dict) else ()
    return {_writable(name): _writable(value) if isinstance(value, str) else value for name, value in plain if isinstance(value, str | int | float | bool)}


def _writable(text: str) -> str:
    """Without halves of letters, which no file takes."""
    return text.encode("utf-8", "ignore").decode()


async def _audio(request: Request, room: Room) -> Response:
    take = await run_in_threadpool(room.takes.get, request.path_params["take"])
    path = room.takes.path(take)
    if not path.is_file():
        raise CallError("the audio of this take is not there any more.", hint="Record the sentence again.")
    return FileResponse(path, media_type="audio/wav", headers={"Cache-Control": "no-store"})


async def _change(request: Request, room: Room) -> Any:
    key, change, takes = request.path_params["take"], request.path_params["change"], room.takes
    plain = {"trash": takes.trash, "restore": takes.restore, "accept": takes.accept}
    if change == "text":
        text = str((await json_body(request)).get("text", ""))
        take = await run_in_threadpool(takes.edit, key, text)
    elif change in plain:
        take = await run_in_threadpool(plain[change], key)
    else:
        raise CallError(f"{change[:20]} is nothing that can be done with a take.", hint="Reload the page.")
    return await run_in_threadpool(lambda: _answer(room, take))


def _answer(room: Room, take: Take) -> dict[str, Any]:
    """The row that a take belongs to, as it is now."""
    takes = list(room.takes.all().values())
    kept = room.takes.kept(takes)
    # A sentence that no list knows any more, or never did: an upload, or a take of a folder that was copied without its lists.
    phrase = room.reading.everything().get(take.phrase) or Phrase(text=take.text, language=take.language, source="file")
    return {"row": _row(phrase, takes, kept.get(take.group)), "progress": _progress(room.reading.now(), kept)}


def reading_json(room: Room, now: ReadingList, said: words.Words) -> dict[str, Any]:
    """The sentences on the page and their takes, as the recorder takes them."""
    why = sentences.why_not_granary(room, now)
    known = LANGUAGES.get(now.language)
    takes = list(room.takes.all().values())
    kept = room.takes.kept(takes)
    return {
        "language": now.language,
        "name": known.name if known else now.language,
        "dir": "rtl" if now.language in _RIGHT_TO_LEFT else "ltr",
        "source": now.source,
        "notice": said.say(f"phrases.why.{why}") if why else "",
        "attribution": now.sources.get(now.source, {}).get("attribution", ""),
        "rows": [_row(phrase, takes, kept.get(phrase.id)) for phrase in now.rows],
        "progress": _progress(now, kept),
        "can_add": now.can_grow,
    }


def _row(phrase: Phrase, takes: list[Take], take: Take | None) -> dict[str, Any]:
    return {"phrase": phrase.id, "text": phrase.text, "source": phrase.source, "take": take and take_json(take, takes)}


def take_json(take: Take, takes: list[Take]) -> dict[str, Any]:
    """One take as the page shows it."""
    tries = sum(each.group == take.group and not each.trashed for each in takes)
    judgement = take.judgement
    return {"take": take.key, "seconds": round(judgement.duration_s, 2), "problems": list(judgement.problems), "accepted": take.accepted, "takes": tries}


def _progress(now: ReadingList | None, every: Mapping[str, Take]) -> dict[str, Any]:
    """Of the language that is being read; `every` are the takes that count."""
    kept = [take for take in every.values() if now is None or take.language == now.language]
    everything = [phrase.text for phrase in now.phrases[:MAX_ROWS]] if now else []
    return {
        "recorded": len(kept),
        "good": sum(take.is_good for take in kept),
        "rows": now.shown if now else 0,
        "max": MAX_ROWS,
        "minutes": round(sum(take.judgement.duration_s for take in kept) / 60, 2),
        "coverage": round(covered_share([take.text for take in kept], everything), 3),
    }
