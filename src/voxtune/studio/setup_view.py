"""What the page says of a run before it begins: its figures, and what is missing. Everything is escaped here."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import urlsplit

from voxtune.settings import TrainSettings
from voxtune.studio.estimating import Data, Estimate
from voxtune.studio.measuring import Measured
from voxtune.studio.readiness import Finding
from voxtune.studio.words import Words


def size(count: float) -> str:
    """Bytes for people."""
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB" if count < 1e11 else f"{count / 1e9:.0f} GB"


def duration(said: Words, seconds: float) -> str:
    """Seconds for people, no more exact than an estimate is."""
    if seconds < 50:
        return said.say("setup.seconds", n=max(5, round(seconds / 5) * 5))
    minutes = round(seconds / 60)
    return said.say("setup.minutes", n=max(1, minutes)) if minutes < 90 else said.say("setup.hours", n=f"{seconds / 3600:.1f}")


def summary(said: Words, settings: TrainSettings, data: Data, estimate: Estimate, measured: Measured | None, *, is_measuring: bool, is_looking: bool) -> str:
    """The figures of a run as a list, those that are estimates marked as such."""
    rows = [
        ("clips", said.say("setup.clips", **data.clips), "", 0.0, ""),
        ("steps", said.say("setup.steps", n=estimate.steps, epochs=f"{settings.epochs:g}"), "", 0.0, ""),
        _memory(said, estimate, is_looking=is_looking),
        _disk(said, estimate),
        _time(said, estimate, measured, is_measuring=is_measuring),
    ]
    return f'<dl class="figures" aria-label="{html.escape(said.say("setup.summary"))}">{"".join(_row(said, *row) for row in rows)}</dl>'


def _row(said: Words, name: str, value: str, mark: str, share: float, more: str) -> str:
    marked = f' <em class="mark">{html.escape(said.say(f"setup.{mark}"))}</em>' if mark else ""
    bar = (
        f'<span class="bar" aria-hidden="true"><i class="{"over" if share > 1 else ""}" style="inline-size:{min(share, 1) * 100:.0f}%"></i></span>'
        if share
        else ""
    )
    below = f"<small>{html.escape(more)}</small>" if more else ""
    return f"<div data-figure={name}><dt>{html.escape(said.say(f'setup.{name}_label'))}{marked}</dt><dd>{html.escape(value)}{bar}{below}</dd></div>"


def _memory(said: Words, estimate: Estimate, *, is_looking: bool) -> tuple[str, str, str, float, str]:
    if estimate.memory_bytes is None or not estimate.available_bytes:
        return "memory", said.say("setup.looking" if is_looking else "setup.unknown"), "", 0.0, ""
    value = said.say("setup.memory", need=size(estimate.memory_bytes), free=size(estimate.available_bytes))
    return "memory", value, "estimated", estimate.memory_bytes / estimate.available_bytes, ""


def _disk(said: Words, estimate: Estimate) -> tuple[str, str, str, float, str]:
    more = said.say("setup.download", size=size(estimate.download_bytes)) if estimate.download_bytes else ""
    if estimate.disk_bytes is None:
        return "disk", said.say("setup.free", free=size(estimate.free_bytes)), "", 0.0, more
    return "disk", said.say("setup.disk", need=size(estimate.disk_bytes), free=size(estimate.free_bytes)), "estimated", 0.0, more


def _time(said: Words, estimate: Estimate, measured: Measured | None, *, is_measuring: bool) -> tuple[str, str, str, float, str]:
    if is_measuring:
        return "time", said.say("setup.measuring"), "", 0.0, ""
    if measured is not None and not measured.problem:
        return "time", duration(said, measured.total_s), "measured", 0.0, said.say("setup.step_s", n=f"{measured.step_s:.2f}")
    problem = said.say("setup.not_measured", why=measured.problem) if measured is not None else ""
    if estimate.total_s is not None:
        return "time", duration(said, estimate.total_s), "estimated", 0.0, problem or said.say("setup.time_rough")
    return "time", said.say("setup.unknown"), "", 0.0, problem or said.say("setup.time_measure")


def findings(said: Words, found: Sequence[Finding]) -> str:
    """What is missing and what to know, as a list; one line where there is nothing."""
    if not found:
        return f'<p class="ready">{html.escape(said.say("setup.ready"))}</p>'
    return f"<ul>{''.join(_finding(said, each) for each in found)}</ul>"


def _finding(said: Words, found: Finding) -> str:
    values = {name: size(value) if isinstance(value, int) and name in ("need", "free") else value for name, value in found.values.items()}
    kind = "hard" if found.hard and found.code != "looking" else "soft"
    what = html.escape(said.say(f"setup.need.{found.code}", **values))
    parts = [f'<strong><span class="vx-unseen">{html.escape(said.say(f"setup.{kind}"))}: </span>{what}</strong>']
    if todo := said.say(f"setup.do.{found.code}", **values).strip():
        parts.append(f"<span>{html.escape(todo)}</span>")
    if found.command:
        parts.append(f"<code>{html.escape(found.command)}</code>")
    if found.link and urlsplit(found.link).scheme == "https":
        parts.append(f'<a href="{html.escape(found.link)}" target="_blank" rel="noopener noreferrer">{html.escape(found.link.removeprefix("https://"))}</a>')
    if found.step:
        parts.append(f'<a href="#{found.step}">{html.escape(said.say("setup.to_step", step=said.say(f"step.{found.step}")))}</a>')
    return f'<li class="{kind}" data-code="{html.escape(found.code)}">{" ".join(parts)}</li>'
