"""A run's model as weights that need no adapter: the base with the adapter merged in, written and looked at again before it counts."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from voxtune import audio, files
from voxtune import settings as settings_files
from voxtune.dataset import clips as clip_files
from voxtune.errors import AudioError, DiskFullError, ModelError
from voxtune.model import mistral_format, names, voxtral
from voxtune.model.batches import IGNORED, Encoder, Example
from voxtune.model.loading_errors import config_file, optional_file
from voxtune.model.names import ModelPlace
from voxtune.workspace import RunFolder

Progress = Callable[[str, int, int | None], None]

_STEPS = 5
_NUM_CLIPS = 2
_ROUNDING = {torch.float32: (1e-4, 1e-3), torch.float16: (5e-3, 0.05), torch.bfloat16: (2.5e-2, 0.1)}
"""How far logits may move (root mean square) because each weight was rounded to its type: as a share of their own, and of what the adapter
changes. Measured on the tiny model: 7e-7 in float32, 1.1e-2 in bfloat16, of their own."""


def export(run: RunFolder, folder: Path, progress: Progress | None = None) -> None:
    """Write a run's model to a new folder as stock transformers files: base and adapter in one, or all weights as they were trained.

    Where the base comes with Mistral's own params.json, the weights are there a second time in that format, for vLLM. Merged weights
    are of the base's own type, on the base as it is unquantised. They are loaded again and must answer as base and adapter do, or
    nothing is left of them. Raises InUseError if `folder` is taken, DiskFullError, ModelError.
    """
    say = progress or (lambda _what, _done, _total: None)
    files.refuse_if_used(folder)
    settings = settings_files.load(run.settings, {})
    base, tuned = names.base_of(run, settings.model), names.find(str(run.path))
    say("looking at the base model", 0, _STEPS)
    parameters = optional_file(base, mistral_format.PARAMETERS)
    with files.new_folder(folder) as partial:
        if tuned.adapter is None:
            _assure_room(folder, _weights_bytes(run.model), parameters)
            for path in sorted(run.model.iterdir()):
                shutil.copyfile(path, partial / path.name)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # what libraries will rename
                _merge(run, base, tuned.adapter, partial, parameters, say)
        if parameters is not None:
            say("writing it in Mistral's format", 4, _STEPS)
            mistral_format.write(partial, parameters)
        for path in partial.iterdir():
            path.chmod(0o644)
    say("done", _STEPS, _STEPS)


def _merge(run: RunFolder, base: ModelPlace, adapter: Path, folder: Path, parameters: Path | None, say: Progress) -> None:
    precision = voxtral.Precision(device="cpu", autocast=False, frozen=own_type(base))
    processor = voxtral.load_processor(base)
    model: Any = voxtral.load_base(base, precision)
    size_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    _assure_room(folder, size_bytes, parameters)
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 1.5 * size_bytes:
        precision = replace(precision, device="cuda")  # many CPUs are slow in bfloat16
    model.to(precision.device)
    encoder = Encoder(processor)
    examples = _examples(run, encoder)
    of_base = _logits(model, encoder, examples, precision)
    say("merging", 1, _STEPS)
    with_adapter: Any = voxtral.load_adapter(model, adapter)
    of_tuned = _logits(with_adapter, encoder, examples, precision)
    merged = with_adapter.merge_and_unload()
    say("writing", 2, _STEPS)
    voxtral.save(merged, processor, folder)
    del model, with_adapter, merged  # a 3B is 9 GB: never two of them at once
    say("checking", 3, _STEPS)
    again = voxtral.load_base(ModelPlace(name=str(folder), source=str(folder)), precision)
    _compare(of_base, of_tuned, _logits(again, encoder, examples, precision), precision.frozen)


def own_type(place: ModelPlace) -> torch.dtype:
    """The number type of a model's files. Raises ModelError where its config.json names none that is known here."""
    config = json.loads(config_file(place).read_text(encoding="utf-8"))
    named = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    found: torch.dtype | None = getattr(torch, named, None)
    if found is None or found not in _ROUNDING:
        raise ModelError(f"{place.name} is of the number type {named!r}, into which nothing is merged.", hint="Use a base in float32, float16 or bfloat16.")
    return found


def _weights_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _assure_room(folder: Path, weights_bytes: int, parameters: Path | None) -> None:
    need = weights_bytes * (2 if parameters else 1) + (64 << 20)
    free = files.free_bytes(folder.parent)
    if free < need:
        raise DiskFullError(folder, need_bytes=need, have_bytes=free)


def _examples(run: RunFolder, encoder: Encoder) -> list[Example]:
    """A few of the run's clips with what is said in them; those that are not there any more are passed over."""
    found = []
    for clip in sorted(clip_files.read(run.clips), key=lambda clip: clip.split != "test"):
        try:
            wave = audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s)
        except AudioError:
            continue
        found.append(encoder.example(wave, language=clip.language, text=clip.text))
        if len(found) == _NUM_CLIPS:
            break
    if not found:
        hint = "Put the recordings back where they were: a merged model is compared with the unmerged one on a few of them."
        raise ModelError(f"none of the recordings of {run.path} is there any more.", hint=hint)
    return found


@torch.inference_mode()
def _logits(model: Any, encoder: Encoder, examples: list[Example], precision: voxtral.Precision) -> torch.Tensor:
    """What the model expects at each token of the transcripts, [N, vocabulary]."""
    rows = []
    for example in examples:
        inputs = {name: value.to(precision.device) for name, value in encoder.collate([example]).items()}
        labels = inputs.pop("labels")
        inputs["input_features"] = inputs["input_features"].to(precision.frozen)
        rows.append(model(**inputs).logits[labels != IGNORED].float().cpu())
    return torch.cat(rows)


def _compare(base: torch.Tensor, tuned: torch.Tensor, merged: torch.Tensor, number_type: torch.dtype) -> None:
    """Raise ModelError unless the merged model answers as the tuned one does."""
    size, change, error = (float(each.square().mean().sqrt()) for each in (tuned, tuned - base, tuned - merged))
    of_size, of_change = _ROUNDING[number_type]
    if not error <= of_size * size + of_change * change:  # a NaN is refused too
        told = f"its logits are off by {error / size:.1%}, where the adapter changes them by {change / size:.1%}"
        hint = "Nothing was kept of it. Use the adapter on its base instead."
        raise ModelError(f"the merged model does not answer as base and adapter do: {told}.", hint=hint)
