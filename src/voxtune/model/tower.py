"""The audio path of a Voxtral in two halves: what training cannot change, done once per clip, and the rest, done in every step.

    mel [n, 128, 3000] -> convolutions, positions -> lower layers -> upper layers, norm -> four frames to one -> projector -> [375 n, h]
                                                   ^ frames [n, 1500, d]                                                   ^ embeddings [n, 375, h]

Everything below the first part that trains gives the same in every epoch (the tower has no dropout: Voxtral's config.json), so it is run
without gradients and its output stands for the mel in the batches of training and of generation alike.

Shape letters: n chunks of 30 s, d width of the tower, h width of the language model.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutputWithPooling

from voxtune.errors import ModelError
from voxtune.model import cores, voxtral
from voxtune.model.batches import CHUNK_AUDIO_TOKENS
from voxtune.model.mel import CHUNK_MEL_FRAMES
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings

_VERSION = 1
"""Of what is computed here and in `mel`: another number makes everything that was kept be computed again."""

TOGETHER = 4
"""Chunks that go through the frozen part at once."""


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How far up the audio path nothing trains."""

    layers: int
    """Of the tower, from the bottom."""
    projected: bool = False
    """The projector too; then `layers` is all of them."""


def depth(settings: TrainSettings, num_layers: int) -> Depth:
    """How far up nothing trains with these settings, in a tower of `num_layers`; nothing at all where its convolutions or first layer train."""
    if "audio_tower" in settings.trained_parts:
        return Depth(layers=num_layers - settings.train_tower_layers if settings.train_tower_layers else 0)
    return Depth(layers=num_layers, projected="projector" not in settings.trained_parts)


class AudioPath:
    """The audio path of one loaded model, divided at a depth.

    From then on the model takes frames or embeddings for `input_features` as well as mel: its `get_audio_features` does what is left to do.
    """

    def __init__(self, model: Any, depth: Depth, precision: Precision) -> None:
        self.depth = depth
        self._precision = precision
        self._inner = voxtral.inner(model)
        self._tower: Any = self._inner.audio_tower
        tower, text = self._tower.config, self._inner.config.text_config
        self._mel = (tower.num_mel_bins, CHUNK_MEL_FRAMES)
        self._frames = (tower.max_source_positions, tower.hidden_size)
        self._embeddings = (CHUNK_AUDIO_TOKENS, text.hidden_size)
        self._stock = type(self._inner).get_audio_features.__get__(self._inner)
        self._inner.get_audio_features = self._finish

    def begin(self, mel: Tensor) -> Tensor:
        """What is kept of [n, 128, 3000]: frames [n, 1500, d], or embeddings [n, 375, h]; on the model's device, in the type it comes out in."""
        with self._at_rest():
            return self._begin(mel)

    def outputs(self, mel: Tensor) -> Tensor:
        """As `begin`, of any number of chunks: a few at a time, and on the CPU."""
        with self._at_rest():
            return torch.cat([self._few(some) for some in mel.split(TOGETHER)])

    @contextlib.contextmanager
    def _at_rest(self) -> Iterator[None]:
        was_training = self._tower.training
        self._tower.eval()
        try:
            yield
        finally:
            self._tower.train(was_training)

    def _few(self, mel: Tensor) -> Tensor:
        if self._precision.device == "cpu":
            return torch.cat(cores.side_by_side(self._begin, mel.split(1)))
        return self._begin(mel).cpu()

    @torch.no_grad()
    def _begin(self, mel: Tensor) -> Tensor:
        with torch.autocast(self._precision.device, dtype=torch.bfloat16, enabled=self._precision.autocast):
            frames = self._climb(self._front(mel), 0, self.depth.layers)
            return self._embed(frames) if self.depth.projected else frames

    def fingerprint(self) -> str:
        """A hash of all that decides what `begin` gives but the mel: weights, sizes, depth, number types, device."""
        digest = hashlib.sha256(f"{_VERSION} {self.depth} {self._precision} {torch.__version__}".encode())
        for name, weight in self._below():
            digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
            data: Any = weight.detach().contiguous().flatten().view(torch.uint8).cpu().numpy()
            digest.update(data)
        return digest.hexdigest()

    def _below(self) -> Iterator[tuple[str, Tensor]]:
        """The weights that `begin` uses, by their names in the stock model."""
        parts: list[tuple[str, nn.Module]] = [(name, getattr(self._tower, name)) for name in ("conv1", "conv2", "embed_positions")]
        parts += [(f"layers.{number}", self._tower.layers[number]) for number in range(self.depth.layers)]
        if self.depth.projected:
            parts += [("layer_norm", self._tower.layer_norm), ("projector", self._inner.multi_modal_projector)]
        for part, module in parts:
            for name, weight in module.named_parameters():
                yield f"{part}.{name}", weight

    def _finish(self, input_features: Tensor, **kwargs: Any) -> Any:
        """Stands for the model's own `get_audio_features`."""
        shape = tuple(input_features.shape[1:])
        if shape == self._mel:
            return self._stock(input_features, **kwargs)
        if shape == self._embeddings:
            return BaseModelOutputWithPooling(pooler_output=input_features.flatten(0, 1))
        if shape == self._frames:
            frames = self._climb(input_features, self.depth.layers, len(self._tower.layers))
            return BaseModelOutputWithPooling(pooler_output=self._embed(frames).flatten(0, 1))
        raise ModelError(f"audio of shape {tuple(input_features.shape)} is neither mel nor frames nor embeddings of this model.")

    def _front(self, mel: Tensor) -> Tensor:
        """The convolutions and positions: VoxtralEncoder.forward before its layers (transformers 5.23, modeling_voxtral.py)."""
        tower = self._tower
        hidden = functional.gelu(tower.conv1(mel.to(tower.conv1.weight)))
        hidden = functional.gelu(tower.conv2(hidden)).permute(0, 2, 1)
        placed: Tensor = (hidden + tower.embed_positions.weight).to(hidden.dtype)
        return placed

    def _climb(self, hidden: Tensor, first: int, last: int) -> Tensor:
        for layer in self._tower.layers[first:last]:
            hidden = layer(hidden, attention_mask=None)
        return hidden

    def _embed(self, frames: Tensor) -> Tensor:
        normed = self._tower.layer_norm(frames)
        embedded: Tensor = self._inner.multi_modal_projector(normed.reshape(len(normed), CHUNK_AUDIO_TOKENS, -1))
        return embedded
