"""A Voxtral's weights under Mistral's own names, as vLLM reads them: consolidated.safetensors beside params.json.

The names and the order of rows are those that transformers' converter of Voxtral undoes and that vLLM's loader expects.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from voxtune.errors import ModelError

WEIGHTS, PARAMETERS = "consolidated.safetensors", "params.json"

_AUDIO = "mm_whisper_embeddings"
_TOWER = r"^audio_tower\.layers\.(\d+)\."
_LAYER = rf"{_AUDIO}.whisper_encoder.transformer.layers."
_LANGUAGE = r"^language_model\.model\.layers\.(\d+)\."
_NAMES = tuple(
    (re.compile(pattern + "$"), name)
    for pattern, name in (
        (r"^language_model\.lm_head\.weight", "output.weight"),
        (r"^language_model\.model\.norm\.weight", "norm.weight"),
        (r"^language_model\.model\.embed_tokens\.weight", f"{_AUDIO}.tok_embeddings.weight"),
        (_LANGUAGE + r"input_layernorm\.weight", r"layers.\1.attention_norm.weight"),
        (_LANGUAGE + r"post_attention_layernorm\.weight", r"layers.\1.ffn_norm.weight"),
        (_LANGUAGE + r"self_attn\.([qkvo])_proj\.weight", r"layers.\1.attention.w\2.weight"),
        (_LANGUAGE + r"mlp\.gate_proj\.weight", r"layers.\1.feed_forward.w1.weight"),
        (_LANGUAGE + r"mlp\.down_proj\.weight", r"layers.\1.feed_forward.w2.weight"),
        (_LANGUAGE + r"mlp\.up_proj\.weight", r"layers.\1.feed_forward.w3.weight"),
        (r"^audio_tower\.conv1\.(weight|bias)", rf"{_AUDIO}.whisper_encoder.conv_layers.0.\1"),
        (r"^audio_tower\.conv2\.(weight|bias)", rf"{_AUDIO}.whisper_encoder.conv_layers.1.\1"),
        (r"^audio_tower\.layer_norm\.(weight|bias)", rf"{_AUDIO}.whisper_encoder.transformer.norm.\1"),
        (_TOWER + r"self_attn\.([qkv])_proj\.(weight|bias)", rf"{_LAYER}\1.attention.w\2.\3"),
        (_TOWER + r"self_attn\.out_proj\.(weight|bias)", rf"{_LAYER}\1.attention.wo.\2"),
        (_TOWER + r"self_attn_layer_norm\.(weight|bias)", rf"{_LAYER}\1.attention_norm.\2"),
        (_TOWER + r"fc([12])\.(weight|bias)", rf"{_LAYER}\1.feed_forward.w\2.\3"),
        (_TOWER + r"final_layer_norm\.(weight|bias)", rf"{_LAYER}\1.ffn_norm.\2"),
        (r"^multi_modal_projector\.linear_1\.weight", rf"{_AUDIO}.audio_language_projection.0.weight"),
        (r"^multi_modal_projector\.linear_2\.weight", rf"{_AUDIO}.audio_language_projection.2.weight"),
    )
)
_CONSTANT = "audio_tower.embed_positions.weight"
"""Sinusoids, which Mistral's files leave out."""


def write(folder: Path, parameters: Path) -> None:
    """Write the weights in `folder` a second time, as Mistral's, with the base's params.json. Raises ModelError for weights of something else."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["text_config"]
    weights = {name: _rotated(name, weight, config).contiguous() for name, weight in _renamed(folder)}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    shutil.copyfile(parameters, folder / PARAMETERS)


def _renamed(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for file in sorted(folder.glob("model*.safetensors")):
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 - no dict, and it cannot be iterated over
                if name != _CONSTANT:
                    yield _named(name), stored.get_tensor(name)


def _named(name: str) -> str:
    for pattern, wanted in _NAMES:
        if pattern.match(name):
            return pattern.sub(wanted, name)
    raise ModelError(f"{name} is no weight of a Voxtral.", hint="Only a Voxtral can be written in Mistral's format.")


def _rotated(name: str, weight: torch.Tensor, config: dict[str, Any]) -> torch.Tensor:
    """Queries and keys of the language model, [heads * D, H]: Mistral has the two halves of each rotation side by side, transformers apart."""
    heads = {"wq": config["num_attention_heads"], "wk": config["num_key_value_heads"]}.get(name.split(".")[-2])
    if heads is None or name.startswith(_AUDIO):
        return weight
    return weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
