"""The model that demo.json names, loaded and checked: the very files that were published, and nothing in their place.

What is missing, altered or without effect ends the Space at once, with the reason in its log; it never goes on with the base alone.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

try:
    import spaces  # type: ignore[import-not-found, unused-ignore]  # ZeroGPU's own package, which is to come before torch; not there elsewhere
except ImportError:
    spaces = None

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open
from sound import PIECE_S, RATE_HZ, Wave  # type: ignore[import-not-found, unused-ignore]  # beside it in the Space
from transformers import AutoProcessor, VoxtralForConditionalGeneration

DEMO: dict[str, Any] = json.loads(Path(__file__).with_name("demo.json").read_text(encoding="utf-8"))
ON_ZERO = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")
ADAPTED = DEMO["kind"] == "adapter"

_TOKENS_PER_S = 20  # more than anyone says: a model in a loop is stopped here
_LOADING = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


def _refuse(why: str) -> NoReturn:
    sys.exit(f"voxtune demo: not started: {why}")


def _fetch(repo: str, revision: str, weights: dict[str, str]) -> Path:
    """The files of a model at that very commit, with those very weights."""
    try:
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=["*.json", *weights]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:500]
        _refuse(f"{repo} at {revision} cannot be downloaded. A private one needs a token that may read it, as the secret HF_TOKEN. {said}")
    for name, sha256 in weights.items():
        if not (folder / name).is_file():
            _refuse(f"{name} is not in {repo} at {revision}.")
        with (folder / name).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256:
            _refuse(f"{name} of {repo} at {revision} is not the file that was published: its SHA-256 is {found}.")
    return folder


def _fetch_model() -> Path:
    return _fetch(DEMO["model"], DEMO["revision"], DEMO["sha256"])


def _fetch_base() -> Path:
    return _fetch(DEMO["base"], DEMO["base_revision"], DEMO["base_sha256"])


def _count(folder: Path, names: dict[str, str]) -> int:
    """How many numbers weight files hold."""
    total = 0
    for name in names:
        with safe_open(folder / name, "pt") as file:
            total += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - no mapping
    return total


def _precision(weights: int) -> tuple[str, torch.dtype]:
    """bf16 on a GPU, or fp16 on one without it; on a CPU fp32 where there is memory for that, else bf16."""
    if ON_ZERO:
        return "cuda", torch.bfloat16
    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return "cpu", torch.float32 if _memory_bytes() > 1.25 * 4 * weights else torch.bfloat16


def _memory_bytes() -> int:
    """How much models may fill: the GPU, or what this container is allowed."""
    if torch.cuda.is_available() and not ON_ZERO:
        return int(torch.cuda.get_device_properties(0).total_memory)
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(file.read_text()))
    return min(found)


def _load(folder: Path) -> Any:
    """All weights of a Voxtral; what was missing would be drawn at random, and is refused."""
    try:
        loaded: Any = VoxtralForConditionalGeneration.from_pretrained(str(folder), dtype=dtype, use_safetensors=True, output_loading_info=True)
    except _LOADING as error:
        _refuse(f"the weights cannot be loaded: {error}")
    model, info = loaded
    if absent := [*info["missing_keys"], *info["mismatched_keys"]]:
        _refuse(f"{len(absent)} weights are missing, {absent[0]} among them.")
    return model.eval()


def _adapted(base: Any, folder: Path) -> Any:
    """The base with every weight of the adapter on it, which changes what it answers."""
    from peft import PeftModel, get_peft_model_state_dict

    try:
        model = PeftModel.from_pretrained(base, str(folder)).eval()
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            saved = set(file.keys())
    except _LOADING as error:
        _refuse(f"the adapter cannot be loaded: {error}")
    if saved != set(get_peft_model_state_dict(model)):
        _refuse("the adapter does not fit its base model.")
    model.to("cpu" if ON_ZERO else device)
    if not _changes(model):
        _refuse("the adapter changes nothing: this would be the base model.")
    return model


@torch.inference_mode()
def _changes(model: Any) -> bool:
    """Whether the adapter changes the answer to text alone, which is quick to see, or else to a sound."""
    ids = torch.tensor([_prompt(None)])
    noise = np.sin(np.arange(RATE_HZ, dtype=np.float32) ** 2)
    text = {"input_ids": ids[ids != processor.audio_token_id][None].to(model.device)}
    sound = {"input_ids": ids.to(model.device), "input_features": _mel([noise]).to(model.device, dtype)}
    for inputs in (text, sound):
        tuned = model(**inputs, logits_to_keep=1).logits
        with model.disable_adapter():
            base = model(**inputs, logits_to_keep=1).logits
        if not torch.equal(tuned, base):
            return True
    return False


@functools.cache
def _prompt(language: str | None) -> list[int]:
    """The tokens before the answer: sound comes in chunks of 30 s, one a piece, so that they depend on the language alone."""
    silence = np.zeros(RATE_HZ, dtype=np.float32)
    request = processor.apply_transcription_request([silence], model_id=DEMO["model"], language=language, sampling_rate=RATE_HZ, format=["WAV"])
    ids: list[int] = request["input_ids"][0].tolist()
    return ids


def _mel(pieces: list[Wave]) -> torch.Tensor:
    """What the model hears. As in apply_transcription_request, but for the 16-bit file that it writes of each on the way."""
    padded = {"padding": "max_length", "max_length": PIECE_S * RATE_HZ, "truncation": False, "return_tensors": "pt"}
    return torch.cat([processor.feature_extractor(piece, sampling_rate=RATE_HZ, **padded)["input_features"] for piece in pieces])


@torch.inference_mode()
def _generate(model: Any, pieces: list[Wave], language: str | None) -> list[str]:
    ids = torch.tensor([_prompt(language)] * len(pieces), device=model.device)
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        input_features=_mel(pieces).to(model.device, dtype),
        max_new_tokens=16 + round(_TOKENS_PER_S * max(len(piece) for piece in pieces) / RATE_HZ),
        do_sample=False,
        num_beams=1,
        eos_token_id=processor.tokenizer.convert_tokens_to_ids("</s>"),
        pad_token_id=processor.tokenizer.convert_tokens_to_ids("<pad>"),
    )
    return [str(processor.tokenizer.decode(answer, skip_special_tokens=True)).strip() for answer in out[:, ids.shape[1] :].tolist()]


def _hear(pieces: list[Wave], language: str | None, compare: bool) -> tuple[list[str], list[str]]:
    tuned = _generate(MODEL, pieces, language)
    if not compare:
        return tuned, []
    with MODEL.disable_adapter() if ADAPTED else contextlib.nullcontext():
        return tuned, _generate(MODEL if ADAPTED else _base(), pieces, language)


def _seconds_of_gpu(pieces: list[Wave], language: str | None, compare: bool) -> int:  # noqa: ARG001 - asked with what _hear is asked with
    return 20 + 5 * len(pieces) * (2 if compare else 1)


@functools.cache
def _base() -> Any:
    """The base of a model that was tuned as a whole, loaded when it is first asked for."""
    return _load(_fetch_base()).to(device)


# Loaded as this file is read: ZeroGPU sees no model that is loaded later.
_folder = _fetch_model()
_base_folder = _fetch_base() if ADAPTED else None
_weights = _count(_base_folder, DEMO["base_sha256"]) if _base_folder else _count(_folder, DEMO["sha256"])
device, dtype = _precision(_weights)
try:
    processor: Any = AutoProcessor.from_pretrained(str(_folder))
except _LOADING as error:
    _refuse(f"the processor cannot be loaded: {error}")
MODEL: Any = (_adapted(_load(_base_folder), _folder) if _base_folder else _load(_folder)).to(device)

NOT_COMPARED = ""
"""Why the base cannot be heard as well; empty where it can. An adapter is taken off for it, a model tuned as a whole needs its base beside it."""
if not ADAPTED:
    NOT_COMPARED = DEMO["base_missing"] or ("" if _memory_bytes() > 2.5 * _weights * dtype.itemsize else "There is no memory for two models here.")
    if ON_ZERO and not NOT_COMPARED:
        _base()

LIMIT_S = 120 if ON_ZERO or (device == "cpu" and _weights > 1e9) else 600
"""The longest recording that is taken."""

hear = spaces.GPU(duration=_seconds_of_gpu)(_hear) if spaces else _hear
"""Texts of pieces of at most 30 s by the tuned model and, if asked, by its base; `hear(pieces, language or None, compare)`."""

sys.stderr.write(f"voxtune demo: serving {DEMO['model']} at {DEMO['revision']} ({DEMO['kind']}, {dtype}, {device})\n")
