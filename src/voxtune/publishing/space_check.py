"""Whether a Space serves the tuned model: a held-out clip goes through it, and comes back as the text that the tuned model gave here."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal, Self

import soundfile

from voxtune import audio, files
from voxtune.dataset.clips import Clip
from voxtune.errors import AudioError, HubError
from voxtune.evaluation.text import prepare
from voxtune.publishing import hub_spaces
from voxtune.publishing.belongings import beside
from voxtune.publishing.calls import Progress
from voxtune.publishing.run_record import RunRecord
from voxtune.training import opening
from voxtune.workspace import RunFolder

State = Literal["verified", "not_verifiable", "base", "differs"]

NUM_PROBES = 3
"""Where one clip comes back otherwise (another number type rounds otherwise), the next ones are asked."""
ANSWER_S = 600.0
"""A 3B on the Hub's free hardware takes minutes for a sentence."""
_TRIES = 4
_CLOSE, _APART = 0.85, 0.2
"""How like the tuned model's text one must be, of 1, and how much less like the base's, to count where none is the same."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A clip that base and tuned model hear differently."""

    clip: Clip
    text: str
    base_text: str
    tuned_text: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What became of it."""

    state: State
    reason: str
    """In words; empty where the texts were the same."""
    heard: str | None = None
    base_text: str | None = None
    tuned_text: str | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether the Space serves something else."""
        return self.state in ("base", "differs")

    def as_json(self) -> dict[str, Any]:
        """For published.json and --json."""
        return asdict(self)


def probes(run: RunFolder, record: RunRecord) -> list[Probe] | str:
    """The clips that tell tuned from base best, or in words why there are none."""
    if record.evaluation is None:
        return f"the run {'was trained further since its evaluation' if record.outdated_report else 'was not evaluated'}; evaluate it and deploy again"
    clips = {(clip.audio_path, clip.text): clip for clip in opening.clips_of(run)}
    rows: list[dict[str, str]] = json.loads(run.report.read_text(encoding="utf-8"))["clips"]
    found = [
        Probe(clip=clip, **{name: row[name] for name in ("text", "base_text", "tuned_text")})
        for row in rows
        if (clip := clips.get((row["audio_path"], row["text"]))) is not None and clip.path.is_file()
    ]
    if not found:
        return "the recordings that it was evaluated on are not here"
    telling = [probe for probe in found if probe.tuned_text and not _same(probe.tuned_text, probe.base_text, probe.clip.language)]
    if not telling:
        return "base and tuned model hear the same in every recording that was held out"
    return sorted(telling, key=lambda probe: _likeness(probe.base_text, probe.tuned_text))[:NUM_PROBES]


def verify(space: str, found: list[Probe] | str, *, is_private: bool, run: RunFolder, say: Progress) -> Verification:
    """Ask a running Space for the texts of a run's clips. Raises HubError where it does not answer."""
    if isinstance(found, str):
        return Verification(state="not_verifiable", reason=found)
    heard: list[tuple[Probe, str]] = []
    with beside(run.path, "space") as folder, _Asking(space, is_private=is_private) as asked:
        for number, probe in enumerate(found):
            say("checking that it serves the tuned model", number, len(found))
            file = folder / f"{number}.wav"
            with contextlib.suppress(AudioError):  # changed since the evaluation; the next one may do
                files.put(file, _float_wav(probe.clip))
                heard.append((probe, asked.text(file, probe.clip.language)))
                if _same(heard[-1][1], probe.tuned_text, probe.clip.language):
                    break
    return judged(heard)


def judged(heard: list[tuple[Probe, str]]) -> Verification:
    """What it means that a Space heard these texts in these clips; of several the last one, which alone may be as it should."""
    if not heard:
        return Verification(state="not_verifiable", reason="the recordings that it was evaluated on cannot be read any more")
    for probe, text in reversed(heard):
        told = Verification(state="verified", reason="", heard=text, base_text=probe.base_text, tuned_text=probe.tuned_text)
        if _same(text, probe.tuned_text, probe.clip.language):
            return told
        if _same(text, probe.base_text, probe.clip.language):
            return replace(told, state="base", reason=f"the Space serves the base model: {_said(probe, text)}")
    if all(_is_close(probe, text) for probe, text in heard):
        return replace(told, reason=f"but for a few letters, as on hardware that rounds otherwise: {_said(probe, text)}")
    probe, text = next((probe, text) for probe, text in heard if not _is_close(probe, text))
    told = replace(told, heard=text, base_text=probe.base_text, tuned_text=probe.tuned_text)
    return replace(told, state="differs", reason=f"the Space serves another model: {_said(probe, text)}")


def _said(probe: Probe, heard: str) -> str:
    return f"of a recording of {probe.text!r} it hears {heard!r}, and the tuned model {probe.tuned_text!r}"


def _is_close(probe: Probe, heard: str) -> bool:
    """Whether a text is almost the tuned model's, and far from the base's."""
    tuned, base = _likeness(heard, probe.tuned_text), _likeness(heard, probe.base_text)
    return tuned >= _CLOSE and tuned - base >= _APART


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _same(one: str, other: str, language: str | None) -> bool:
    try:
        return prepare(one, language, normalised=True) == prepare(other, language, normalised=True)
    except ModuleNotFoundError:  # English is normalised by a package of the extra `train`
        return prepare(one, language, normalised=False) == prepare(other, language, normalised=False)


def _float_wav(clip: Clip) -> bytes:
    """What the model heard of a clip here, sample for sample."""
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s), audio.SAMPLE_RATE_HZ, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


class _Asking:
    """A Space's own interface, as anybody speaks to it."""

    def __init__(self, space: str, *, is_private: bool) -> None:
        self._space = space
        self._is_private = is_private
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def text(self, file: Path, language: str | None) -> str:
        """The text of a recording. Raises HubError."""
        from gradio_client import handle_file  # type: ignore[import-untyped, unused-ignore]  # ships no types

        job = self._through(lambda client: client.submit(handle_file(str(file)), language or "", False, api_name="/transcribe").result(timeout=ANSWER_S))
        tuned: str = job[0]
        return tuned

    def _through(self, ask: Callable[[Any], Any]) -> Any:
        """What the Space answers; it may need a moment after it is said to run."""
        import httpx
        from gradio_client.exceptions import AppError  # type: ignore[import-untyped, unused-ignore]  # the same

        for attempt in range(1, _TRIES + 1):
            try:
                self._client = self._client or self._connected()
                return ask(self._client)
            except TimeoutError:
                raise HubError(
                    f"{self._space} did not answer within {ANSWER_S / 60:.0f} minutes.", hint="Give it faster hardware.", code="unreachable"
                ) from None
            except AppError as error:
                raise HubError(f"{self._space} answered with an error: {error}", hint="Its log says more.", code="incomplete") from None
            except (httpx.HTTPError, ValueError, CancelledError, OSError) as error:
                self._client = None
                if attempt == _TRIES:
                    said = " ".join(str(error).split())[:300]
                    raise HubError(f"{self._space} runs, and does not answer: {said}", hint="Deploy it again to have it checked.", code="unreachable") from None
                time.sleep(attempt)
        raise AssertionError("the last try returns or raises")

    def _connected(self) -> Any:
        os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # its own switch alone does not keep the client from telling of the Space
        from gradio_client import Client
        from huggingface_hub import get_token

        token: Any = get_token() if self._is_private else False
        return Client(hub_spaces.address(self._space), token=token, verbose=False, download_files=False, analytics_enabled=False)
