"""Which models the page offers and takes, and how large they are without loading one."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from voxtune.errors import CallError, ModelError
from voxtune.model import names
from voxtune.model.names import DEFAULT_ON_GPU, TINY
from voxtune.training.shape import Shape, shape_of

SMALL = "mistralai/Voxtral-Small-24B-2507"
OFFERED = (TINY, DEFAULT_ON_GPU, SMALL)

_MINI_SHAPE = Shape(
    tower_layers=32,
    tower_width=1280,
    tower_ffn=5120,
    tower_heads=20,
    mel_bins=128,
    lm_layers=30,
    lm_width=3072,
    lm_ffn=8192,
    lm_heads=32,
    lm_kv_heads=8,
    lm_head_dim=128,
    vocab=131_072,
)
"""Of Voxtral-Mini-3B-2507: what transformers' VoxtralConfig (5.23) has by default, which is that model."""

_SMALL_SHAPE = Shape(**{**vars(_MINI_SHAPE), "lm_layers": 40, "lm_width": 5120, "lm_ffn": 32_768})
"""Of Voxtral-Small-24B-2507: as in a public copy of its config.json (huggingface.co/Abc7347/this); the tower is the same."""

_PUBLISHED = {DEFAULT_ON_GPU: _MINI_SHAPE, SMALL: _SMALL_SHAPE}

NEEDS_GPU = 1_000_000_000
"""Weights from which on training on a CPU is no use: days, where it is minutes."""


def allowed(workspace: Path, name: str) -> str:
    """The model that a person named on the page, as a run takes it: `tiny`, a Hub id, or a folder of the workspace.

    Raises CallError for other folders, which the page has no business in, and for names of nothing; ModelError for a folder without one.
    """
    name = name.strip()
    if name in OFFERED:
        return name
    hint = f"Use `{TINY}`, a Hub id such as {DEFAULT_ON_GPU}, or a folder of this workspace such as outputs/NAME."
    refused = CallError(f"{name[:100]!r} is not a model that this page may use.", hint=hint)
    try:
        inside = (workspace / name).resolve()
        if name and inside.is_dir() and inside.is_relative_to(workspace.resolve()):
            name = str(inside)
        elif not name or Path(name).exists() or name.startswith((".", "/", "~", "\\")):
            raise refused
    except (OSError, ValueError):  # longer than any name, or with a NUL in it
        raise refused from None
    place = names.find(name)
    if place.adapter is not None:
        raise CallError("that is a tuned adapter; training starts from a base model.", hint="Choose the model that it was tuned from.")
    return name


def shape(name: str) -> Shape | None:
    """The sizes of a model that `allowed` gave, from this machine alone; None for one of the Hub that is neither in the cache nor well known."""
    if name == TINY or Path(name).is_dir():
        place = names.find(name)
        return _read(Path(place.source) / "config.json")
    cached = try_to_load_from_cache(name, "config.json")
    return _read(Path(cached)) if isinstance(cached, str) else _PUBLISHED.get(name)


@functools.lru_cache(maxsize=16)
def _read(file: Path) -> Shape | None:
    try:
        return shape_of(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, ModelError):
        return None  # told when the run starts


def is_here(name: str) -> bool:
    """Whether a model's weights are on this machine, as far as names of files tell."""
    if name == TINY or Path(name).is_dir():
        return True
    return any(isinstance(try_to_load_from_cache(name, file), str) for file in ("model.safetensors.index.json", "model.safetensors"))
