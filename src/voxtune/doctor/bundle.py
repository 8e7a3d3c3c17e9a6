"""A zip to send with a bug report: what the doctor found and what runs wrote of themselves.

No audio, no weights, no list of clips. Secrets, the home folder, the names of the person and of the machine, and every word that was
said or heard are taken out of what goes in.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune.doctor.check import Check
from voxtune.doctor.scrub import TEXT_KEYS, Scrubber
from voxtune.errors import CallError, InUseError
from voxtune.workspace import RunFolder

LOG_BYTES = 2_000_000
"""How much of the end of a log goes in."""


def refuse_if_used(target: Path) -> None:
    """Raise InUseError where something is at `target` already."""
    try:
        files.refuse_if_used(target)
    except InUseError as error:
        raise InUseError(error.message, hint="Choose another --bundle, or move that one away first.") from None


def write(target: Path, checks: Sequence[Check], runs: Sequence[RunFolder]) -> list[str]:
    """Write the zip at `target`, whole or not at all, and give the names in it. Raises InUseError where something is there already."""
    refuse_if_used(target)
    scrub = Scrubber(text for run in runs for text in _spoken(run))
    left_out: dict[str, str] = {}
    members: dict[str, str] = {}
    for name, run in _named(runs, scrub).items():
        members |= _members(run, name, scrub, left_out)
    ok = all(check.state != "error" for check in checks)
    report = {"ok": ok, "checks": [scrub.value(asdict(check)) for check in checks], "left_out": left_out}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"doctor.json": _json(report) + "\n", **members}.items():
            archive.writestr(name, text)
    try:
        files.write_bytes(target, buffer.getvalue())
    except OSError as error:
        raise CallError(f"{target} cannot be written: {error.strerror}.", hint="Choose another --bundle.") from None
    return archive.namelist()


def _named(runs: Iterable[RunFolder], scrub: Scrubber) -> dict[str, RunFolder]:
    """Each run under its folder's name, and a number where several have the same."""
    named: dict[str, RunFolder] = {}
    for run in runs:
        base = scrub.text(run.path.resolve().name)
        numbered = (f"{base}-{number}" for number in itertools.count(2))
        named[next(name for name in itertools.chain([base], numbered) if name not in named)] = run
    return named


def _members(run: RunFolder, name: str, scrub: Scrubber, left_out: dict[str, str]) -> Iterator[tuple[str, str]]:
    for file in (run.settings, run.status, run.events, run.log):
        member = f"runs/{name}/{file.name}"
        try:
            text = _read(file, LOG_BYTES if file == run.log else None)
        except OSError as error:
            left_out[member] = f"it cannot be read: {error.strerror}"
            continue
        if text is not None and file in (run.status, run.events):
            rows, num_broken = _rows(file, text)
            text = "".join(_json(scrub.row(row)) + "\n" for row in rows)
            if num_broken:
                left_out[member] = f"broken lines: {num_broken}"
        elif text is not None:
            text = scrub.text(text)
        if text:
            yield member, text


def _read(file: Path, last_bytes: int | None = None) -> str | None:
    """The text of a file, or the whole lines of its end; None where there is none, or a link, which may lead anywhere."""
    if file.is_symlink() or not file.is_file():
        return None
    with file.open("rb") as stream:
        before = 0 if last_bytes is None else max(0, file.stat().st_size - last_bytes)
        stream.seek(before)
        text = stream.read().decode(errors="replace")
    return text if before == 0 else "".join(re.split(r"(?<=[\r\n])", text, maxsplit=1)[1:])  # half a line may hold half a secret


def _rows(file: Path, text: str) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects in a file's text, and how many of its lines hold none."""
    lines = [line for line in (text.split("\n") if file.suffix == ".jsonl" else [text]) if line.strip()]
    rows = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows, len(lines) - len(rows)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _spoken(run: RunFolder) -> Iterator[str]:
    """Every text that a run's files say was read aloud or heard."""
    for file in (run.clips, run.events, run.report):
        with contextlib.suppress(OSError):
            yield from _texts(_rows(file, _read(file) or "")[0], under_text=False)


def _texts(value: Any, *, under_text: bool) -> Iterator[str]:
    if isinstance(value, str):
        if under_text:
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, under_text=under_text or key in TEXT_KEYS)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, under_text=under_text)
