"""Base and tuned model of a run, kept loaded and asked line by line: `python -P -m voxtune.evaluation.listen RUN`. Not for people.

Each line on standard input is {"audio": path, "language": code or null}; each is answered by one line on standard output, either
{"base": text, "tuned": text, "seconds": s} or {"error": message, "hint": hint}. The first line says {"ready": true}, or an error.
It ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import settings as settings_files
from voxtune import startup
from voxtune.errors import VoxtuneError
from voxtune.model import names
from voxtune.settings import TrainSettings
from voxtune.workspace import RunFolder

if TYPE_CHECKING:
    from voxtune.model.batches import Example
    from voxtune.model.tower import AudioPath


class Pair:
    """Base and tuned model; an adapter shares the weights of its base, and is taken off for the base's answer."""

    def __init__(self, run: RunFolder) -> None:
        from voxtune.model import voxtral
        from voxtune.model.batches import Encoder

        settings = settings_files.load(run.settings, {})
        base, tuned = names.base_of(run, settings.model), names.find(str(run.path))
        self._precision = voxtral.choose_precision(settings.precision)
        self._encoder = Encoder(voxtral.load_processor(tuned))
        self._base: Any = voxtral.load_base(base, self._precision, in_4bit=settings.load_in_4bit)
        self._adapted = tuned.adapter is not None
        self._tuned: Any = voxtral.load_adapter(self._base, tuned.adapter) if tuned.adapter else voxtral.load_base(tuned, self._precision)
        self._shared = self._shared_path(settings)

    def _shared_path(self, settings: TrainSettings) -> AudioPath | None:
        """What is frozen of the audio path, if both models have it alike."""
        from voxtune.model import tower, voxtral

        frozen = tower.depth(settings, voxtral.num_tower_layers(self._base))
        if not frozen.layers:
            return None
        path = tower.AudioPath(self._tuned, frozen, self._precision)
        alike = self._adapted or tower.AudioPath(self._base, frozen, self._precision).fingerprint() == path.fingerprint()
        return path if alike else None

    def hear(self, audio: Path, language: str | None) -> dict[str, Any]:
        """What each of them hears. Raises AudioError."""
        from voxtune.evaluation.transcribe import begun, prompts_of

        began = time.monotonic()
        prompts = prompts_of(audio, self._encoder, language=language)
        if self._shared is not None:
            prompts = begun(prompts, self._shared)
        with self._tuned.disable_adapter() if self._adapted else contextlib.nullcontext():
            base = self._text(self._tuned if self._adapted else self._base, prompts)
        tuned = self._text(self._tuned, prompts)
        return {"base": base, "tuned": tuned, "seconds": round(time.monotonic() - began, 3)}

    def _text(self, model: Any, prompts: Sequence[Example]) -> str:
        from voxtune.evaluation.transcribe import joined, transcribe

        return joined(transcribe(model, self._encoder, prompts, self._precision))


def main() -> None:
    """Answer until nobody asks any more."""
    startup.begin()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value, ensure_ascii=False) + "\n")
        answers.flush()

    loaded: list[Pair] = []

    def load() -> dict[str, Any]:
        loaded.append(Pair(RunFolder(Path(sys.argv[1]))))
        return {"ready": True}

    answer(_in_words(load))
    for line in sys.stdin if loaded else ():
        asked = json.loads(line)
        answer(_in_words(partial(loaded[0].hear, Path(asked["audio"]), asked["language"])))


def _in_words(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a call gives, or its failure in words."""
    try:
        return call()
    except VoxtuneError as error:
        return {"error": error.message, "hint": error.hint}
    except ModuleNotFoundError as error:
        return {"error": f"{error.name} is not installed.", "hint": "pip install 'voxtune[train]'"}


if __name__ == "__main__":
    main()
