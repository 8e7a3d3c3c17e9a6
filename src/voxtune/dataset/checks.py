"""What can be wrong with a clip or its transcript: a closed set of codes, all problems reported, none raised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Literal

from voxtune import audio
from voxtune.dataset import parallel
from voxtune.dataset.clips import BadLine, Clip
from voxtune.errors import AudioError
from voxtune.phrases.cleaning import sentence_key, text_problem

Code = Literal[
    "missing",
    "unreadable",
    "not_audio",
    "empty",
    "silent",
    "clipped",
    "too_quiet",
    "too_short",
    "too_long",
    "nan_or_inf",
    "wrong_text",
    "duplicate_audio",
    "duplicate_text",
    "bad_line",
]
Severity = Literal["error", "warning"]

SILENT_PEAK = 1e-3
"""-60 dBFS: below it nothing was recorded."""
QUIET_DBFS = -42.0
"""Speech below this is near the noise of a 16-bit laptop recording."""
CLIPPED_SHARE = 1e-3
MIN_S = 0.2
"""No word is shorter."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    code: str
    severity: Severity
    file: str
    line: int | None
    message: str
    hint: str

    def as_json(self) -> dict[str, object]:
        """The object that `voxtune dataset check --json` prints."""
        return asdict(self)


def wave_problems(wave: audio.Wave) -> list[tuple[Code, Severity, str, str]]:
    """What is wrong with [T] mono at 16 kHz: code, severity, message and hint of each."""
    found: list[tuple[Code, Severity, str, str]] = []
    measures = audio.measure(wave)
    if measures.duration_s < MIN_S:
        found.append(("too_short", "error", f"{measures.duration_s:.2f} s is shorter than {MIN_S} s.", "Record it again, or leave it out."))
    if measures.duration_s > audio.CHUNK_S:
        chunks = -(-len(wave) // round(audio.CHUNK_S * audio.SAMPLE_RATE_HZ))
        message = f"{measures.duration_s:.1f} s is longer than {audio.CHUNK_S:.0f} s and takes {chunks} chunks."
        found.append(("too_long", "warning", message, "It works, but costs memory; sentences of 3-15 s teach more."))
    if measures.peak < SILENT_PEAK:
        found.append(("silent", "error", "there is nothing to hear in it.", "Check the microphone and record it again."))
    elif measures.speech_dbfs < QUIET_DBFS:
        message = f"it is very quiet ({measures.speech_dbfs:.0f} dBFS)."
        found.append(("too_quiet", "warning", message, "Come closer to the microphone or raise its level."))
    if measures.clipped_share > CLIPPED_SHARE:
        message = f"it is too loud: {measures.clipped_share:.1%} of the samples are cut off."
        found.append(("clipped", "warning", message, "Move back or lower the microphone's level, and record it again."))
    return found


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """What one clip says for itself."""

    problems: list[Problem]
    duration_s: float = 0.0
    mark: str | None = None
    """The hash of its samples; None where they cannot be read."""


def check(
    clips: Sequence[Clip], bad_lines: Iterable[BadLine] = (), *, progress: Callable[[], None] = lambda: None, processes: int | None = None
) -> tuple[list[Problem], float]:
    """Every problem of a dataset, and the seconds of audio that could be read; `progress` is called once a clip.

    Clips are heard in as many `processes`, or as `parallel.each` finds best; what is found is the same.
    """
    problems = [
        Problem(code="bad_line", severity="error", file=bad.file, line=bad.line, message=bad.message, hint="Correct or remove the line.") for bad in bad_lines
    ]
    duration_s = 0.0
    marked: dict[str, Clip] = {}
    with closing(parallel.each(_hear, clips, processes=processes)) as all_heard:
        for clip, heard in zip(clips, all_heard, strict=True):
            problems += heard.problems
            duration_s += heard.duration_s
            first = clip if heard.mark is None else marked.setdefault(heard.mark, clip)
            if first is not clip:
                problems.append(_same_audio(first, clip))
            progress()
    return problems + _leaks(clips), duration_s


def _hear(clip: Clip) -> _Heard:
    problems = []
    reason = text_problem(clip.text)
    if reason:
        problems.append(_problem(clip, "wrong_text", "error", reason, "Write what is said in the clip."))
    try:
        wave = audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s)
    except AudioError as error:
        problems.append(_problem(clip, error.code, "error", error.reason, error.hint))
        return _Heard(problems=problems)
    problems += [_problem(clip, *found) for found in wave_problems(wave)]
    return _Heard(problems=problems, duration_s=len(wave) / audio.SAMPLE_RATE_HZ, mark=hashlib.sha256(wave.tobytes()).hexdigest())


def _same_audio(first: Clip, second: Clip) -> Problem:
    where = first.path.name + ("" if first.line is None else f" (line {first.line})")
    if sentence_key(first.text) == sentence_key(second.text) and first.split == second.split:
        return _problem(second, "duplicate_audio", "warning", f"the same audio as {where}.", "Remove one of the two.")
    message = f"the same audio as {where}, with another transcript or on another side of the split."
    return _problem(second, "duplicate_audio", "error", message, "One of the two is wrong: correct or remove it.")


def _leaks(clips: Sequence[Clip]) -> list[Problem]:
    sides: dict[str, Clip] = {}
    problems = []
    for clip in clips:
        first = sides.setdefault(sentence_key(clip.text), clip)
        if clip.split and first.split and clip.split != first.split:
            message = f"the sentence {clip.text!r} is in {first.split} and in {clip.split}: the test would not be honest."
            problems.append(_problem(clip, "duplicate_text", "error", message, "Put all clips of a sentence on one side, or leave the split to voxtune."))
    return problems


def _problem(clip: Clip, code: str, severity: Severity, message: str, hint: str) -> Problem:
    return Problem(code=code, severity=severity, file=str(clip.path), line=clip.line, message=message, hint=hint)
