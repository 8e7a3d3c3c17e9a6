"""The sizes of a Voxtral, read from its config.json: no torch, no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from voxtune.errors import ModelError

CHUNK_FRAMES = 1_500
"""Frames that the tower makes of a chunk of 30 s."""

_KEYS = {  # in the order of Shape's fields
    "audio_config": ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_mel_bins"),
    "text_config": ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size"),
}


class Linear(NamedTuple):
    """A linear layer: numbers in, numbers out, and in its bias."""

    wide: int
    out: int
    bias: int = 0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a Voxtral. `tie_word_embeddings` is none of them: transformers 5 ties no Voxtral's lm_head, whatever that key says."""

    tower_layers: int
    tower_width: int
    tower_ffn: int
    tower_heads: int
    mel_bins: int
    lm_layers: int
    lm_width: int
    lm_ffn: int
    lm_heads: int
    lm_kv_heads: int
    lm_head_dim: int
    vocab: int

    def linears(self) -> tuple[list[list[Linear]], ...]:
        """Tower layer (q k v, out, fc1, fc2), projector, language layer (q k v, o, gate up, down): in order, those on the same input together."""
        d, f, h, m = self.tower_width, self.tower_ffn, self.lm_width, self.lm_ffn
        q, kv, square = self.lm_heads * self.lm_head_dim, self.lm_kv_heads * self.lm_head_dim, Linear(d, d, d)
        tower = [[square, Linear(d, d), square], [square], [Linear(d, f, f)], [Linear(f, d, d)]]
        language = [[Linear(h, q), Linear(h, kv), Linear(h, kv)], [Linear(q, h)], [Linear(h, m), Linear(h, m)], [Linear(m, h)]]
        return tower, [[Linear(f, h)], [Linear(h, h)]], language

    def front(self) -> int:
        """Numbers of the tower's two convolutions and its last norm."""
        return 3 * self.tower_width * (self.mel_bins + self.tower_width) + 4 * self.tower_width

    def numbers(self) -> tuple[int, int]:
        """(all weights, those in linear layers that 4 bits would hold)."""
        tower, projector, language = self.linears()
        every = [each for group in self.tower_layers * tower + projector + self.lm_layers * language for each in group]
        packed = sum(each.wide * each.out for each in every)
        others = (4 * self.tower_layers + CHUNK_FRAMES) * self.tower_width + (2 * self.lm_layers + 1 + 2 * self.vocab) * self.lm_width
        return packed + sum(each.bias for each in every) + self.front() + others, packed


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The sizes in a Voxtral's config.json. Raises ModelError if it is of something else or lacks one."""
    if config.get("model_type") != "voxtral":
        raise ModelError(f"config.json is of a {config.get('model_type')!r} model, not of a Voxtral.", hint="Use `tiny` or mistralai/Voxtral-Mini-3B-2507.")
    sizes: list[int] = []
    for part, key in ((part, key) for part, keys in _KEYS.items() for key in keys):
        inner = config.get(part)
        value = inner.get(key) if isinstance(inner, Mapping) else None
        if not isinstance(value, int) or value < 1:
            raise ModelError(f"config.json says {part}.{key} = {value!r}, where a whole number is needed.", hint="Copy the model's config.json again.")
        sizes.append(value)
    return Shape(**dict(zip((field.name for field in fields(Shape)), sizes, strict=True)))
