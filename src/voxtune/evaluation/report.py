"""Base against tuned on clips that the tuned model never saw: the evaluation of a run."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from voxtune import files
from voxtune.dataset import clips as clip_files
from voxtune.dataset import store
from voxtune.dataset.clips import Clip
from voxtune.errors import CallError, EvaluationError
from voxtune.evaluation import wer
from voxtune.evaluation.text import steps
from voxtune.evaluation.transcribe import transcribe
from voxtune.model import names, voxtral
from voxtune.model.batches import Encoder, Example
from voxtune.model.names import ModelPlace
from voxtune.model.prepared import PreparedClips, hearing
from voxtune.settings import TrainSettings
from voxtune.workspace import RunFolder

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many clips are done, and of how many."""


def evaluate(run: RunFolder, settings: TrainSettings, *, data: str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Transcribe held-out clips with base and tuned model and compare; writes and returns report.json.

    The clips are the run's own test side, or all of `data` but what the run trained on. The tuned model is the one reloaded from
    disk. Raises EvaluationError if it answers exactly as the base does, or if no clip is left.
    """
    began = time.monotonic()
    clips = _held_out(run, settings, data)
    base_place, tuned_place = names.base_of(run, settings.model), names.find(str(run.path))
    precision = voxtral.choose_precision(settings.precision)
    encoder = Encoder(voxtral.load_processor(tuned_place))
    texts: dict[str, list[str]] = {}
    seconds: dict[str, float] = {}
    base_logits: torch.Tensor | None = None
    for which, model, prompts in _models(base_place, tuned_place, clips, encoder, settings, precision):
        logits = _first_logits(model, encoder, prompts[0], precision)
        if base_logits is None:
            base_logits = logits
            seconds["load"] = time.monotonic() - began
        elif torch.equal(base_logits, logits):
            raise EvaluationError(
                f"the tuned model in {run.model} answers exactly as the base model does: tuning changed nothing.",
                hint="Train longer or at a higher learning rate; if that does not help, the saved model is not the trained one.",
            )
        started = time.monotonic()
        say = _telling(progress, f"{which} model", len(clips))
        texts[which] = transcribe(model, encoder, prompts, precision, batch_size=settings.eval_batch_size, progress=say)
        seconds[which] = time.monotonic() - started
        del model, prompts  # before the next one is loaded
    seconds["total"] = time.monotonic() - began
    report = build(clips, texts["base"], texts["tuned"], seconds=seconds)
    files.write_json(run.report, report)
    return report


def _models(
    base: ModelPlace, tuned: ModelPlace, clips: Sequence[Clip], encoder: Encoder, settings: TrainSettings, precision: voxtral.Precision
) -> Iterator[tuple[str, Any, Sequence[Example]]]:
    """Base, then tuned model, each with what it is to transcribe; never two sets of weights in memory.

    An adapter shares its base's weights, and what the frozen part of the tower made of the clips. Of two whole models, the second finds that on
    disk if its frozen weights are the same.
    """

    def prepared(model: Any) -> Sequence[Example]:
        return PreparedClips(clips, encoder, hearing=hearing(model, settings, precision)).prompts

    model: Any = voxtral.load_base(base, precision, in_4bit=settings.load_in_4bit)
    if tuned.adapter is not None:
        model = voxtral.load_adapter(model, tuned.adapter)
        prompts = prepared(model)
        with model.disable_adapter():
            yield "base", model, prompts
        yield "tuned", model, prompts
        return
    yield "base", model, prepared(model)
    del model
    gc.collect()  # the divided audio path and its model hold each other
    model = voxtral.load_base(tuned, precision)
    yield "tuned", model, prepared(model)


def _telling(progress: Progress | None, what: str, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda done: progress(what, done, total)


def build(clips: Sequence[Clip], base_texts: Sequence[str], tuned_texts: Sequence[str], *, seconds: dict[str, float]) -> dict[str, Any]:
    """The report's JSON object (docs/training-pipeline.md lists its keys) from references and both models' texts; worst clips first."""
    words = {"base": _counts(wer.count_words, clips, base_texts), "tuned": _counts(wer.count_words, clips, tuned_texts)}
    comparison = wer.compare(words["base"], words["tuned"])
    rows = [
        {"audio_path": clip.audio_path, "text": clip.text, "base_text": base, "tuned_text": tuned, "base_wer": one.rate, "tuned_wer": other.rate}
        for clip, base, tuned, one, other in zip(clips, base_texts, tuned_texts, words["base"], words["tuned"], strict=True)
    ]
    languages = sorted({clip.language or "" for clip in clips})
    return {
        "num_clips": len(clips),
        "base": _rates(clips, base_texts),
        "tuned": _rates(clips, tuned_texts),
        "wer_reduction": comparison.wer_reduction,
        "wer_reduction_ci95": list(comparison.ci95),
        "verdict": comparison.verdict,
        "clips": sorted(rows, key=lambda row: (-row["tuned_wer"], -row["base_wer"], row["audio_path"])),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "normalisation": {language or "automatic": [step.name for step in steps(language or None, normalised=True)] for language in languages},
    }


def _counts(count: Callable[..., wer.Count], clips: Sequence[Clip], texts: Sequence[str], *, normalised: bool = True) -> list[wer.Count]:
    return [count(clip.text, text, clip.language, normalised=normalised) for clip, text in zip(clips, texts, strict=True)]


def _rates(clips: Sequence[Clip], texts: Sequence[str]) -> dict[str, float]:
    """Normalised rates, and raw ones where case and punctuation count."""
    return {
        "wer": wer.total_rate(_counts(wer.count_words, clips, texts)),
        "cer": wer.total_rate(_counts(wer.count_characters, clips, texts)),
        "raw_wer": wer.total_rate(_counts(wer.count_words, clips, texts, normalised=False)),
        "raw_cer": wer.total_rate(_counts(wer.count_characters, clips, texts, normalised=False)),
    }


@torch.inference_mode()
def _first_logits(model: Any, encoder: Encoder, prompt: Example, precision: voxtral.Precision) -> torch.Tensor:
    inputs = {name: value.to(precision.device) for name, value in encoder.collate([prompt]).items() if name != "labels"}
    with torch.autocast(precision.device, dtype=torch.bfloat16, enabled=precision.autocast):
        logits: torch.Tensor = model(**inputs, logits_to_keep=1).logits
    return logits.float().cpu()


def _held_out(run: RunFolder, settings: TrainSettings, data: str | None) -> list[Clip]:
    if not run.clips.is_file():
        raise CallError(f"{run.path} is not a training run: there is no {run.clips.name} in it.", hint="Give the folder that `voxtune train --output` named.")
    known = clip_files.read(run.clips)
    if data is None:
        return [clip for clip in known if clip.split == "test"]
    seen = {clip.path.resolve() for clip in known if clip.split != "test"}
    dataset = store.load(data, strict=False)
    if dataset.bad_lines:
        clip_files.read(dataset.file)  # raises, naming them
    clips = [replace(clip, language=clip.language or settings.language) for clip in dataset.clips if clip.path.resolve() not in seen]
    if not clips:
        raise EvaluationError(f"every clip of {data} was used in training this run.", hint="Evaluate on recordings that the model never saw.")
    return clips
