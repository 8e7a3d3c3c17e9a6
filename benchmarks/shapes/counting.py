"""Floating-point operations of a forward and backward pass, from the shapes of what is really computed.

A matrix product of [t, i] and [i, o] is 2 t i o. A linear layer does one forward, one more for the gradient of its input if anything below it
trains, and one more for that of its weight if it trains itself; an adapter is two such layers, i to r and r to o. Attention does two products of
2 t t w forward (w is heads times their size) and four backward; of causal attention without a mask half is counted, since the
rest is not computed. The language model's last layer is computed for the tokens that answer alone, but for keys and values. Convolutions
are linear layers over three frames. The head is counted on the rows that it is given. Not counted: what frozen parts did before
(their outputs are given), additions, norms, activations, softmax, the loss, the optimizer, and anything computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from voxtune.model import voxtral
from voxtune.model.tower import Depth

_STAGES = (("q_proj", "k_proj", "v_proj"), ("o_proj", "out_proj"), ("fc1", "gate_proj", "up_proj"), ("fc2", "down_proj"))
"""Linear layers of a block, by what has to be done before them."""
_FILTER = 3
"""Frames under each of the tower's convolutions."""


class Count:
    """Adds up one pass through a model, from the bottom to the top."""

    def __init__(self) -> None:
        self.flops = 0.0
        self._below_trains = False

    def stage(self, layers: Sequence[Any], rows: int) -> None:
        """Linear layers that have the same input, or inputs of one stage, of so many rows."""
        for layer in layers:
            inner = getattr(layer, "base_layer", layer)
            self._product(rows * inner.in_features * inner.out_features, trains=inner.weight.requires_grad)
            for name, adapter in getattr(layer, "lora_A", {}).items():
                second = layer.lora_B[name]
                self._product(rows * adapter.in_features * adapter.out_features, trains=True)
                self._product(rows * second.in_features * second.out_features, trains=True, below_trains=True)
        self._below_trains = self._below_trains or any(_trains(layer) for layer in layers)

    def convolution(self, layer: Any, frames: int) -> None:
        """One that gives so many frames."""
        self._product(frames * layer.in_channels * _FILTER * layer.out_channels, trains=layer.weight.requires_grad)
        self._below_trains = self._below_trains or _trains(layer)

    def block(self, block: nn.Module, sequences: int, length: int, *, computed: float, answering: int | None = None) -> None:
        """A transformer layer, of whose attention the share `computed` is; with `answering`, for so many tokens of each sequence beside keys and values."""
        asked = answering or length
        for number, names in enumerate(_STAGES):
            layers = {name.rpartition(".")[2]: module for name, module in block.named_modules() if name.rpartition(".")[2] in names}
            of_all = [layer for name, layer in layers.items() if name in ("k_proj", "v_proj")]
            self.stage([layer for layer in layers.values() if layer not in of_all], sequences * asked)
            self.stage(of_all, sequences * length)
            if number == 0:
                width = layers["q_proj"].out_features
                self._product(2 * computed * sequences * asked * length * width, trains=self._below_trains)

    def _product(self, size: float, *, trains: bool, below_trains: bool | None = None) -> None:
        below = self._below_trains if below_trains is None else below_trains
        self.flops += 2 * size * (1 + trains + below)


def flops(model: Any, batch: Mapping[str, Tensor], depth: Depth | None, *, causal_share: float = 0.5) -> float:
    """Of a pass of a batch; `depth` is what its `input_features` have behind them, None for mel."""
    count, inner = Count(), voxtral.inner(model)
    tower, chunks = inner.audio_tower, len(batch["input_features"])
    frames = tower.config.max_source_positions
    if depth is None:
        count.convolution(tower.conv1, chunks * frames * 2)
        count.convolution(tower.conv2, chunks * frames)
    for block in tower.layers[depth.layers if depth else 0 :]:
        count.block(block, chunks, frames, computed=1.0)
    if depth is None or not depth.projected:
        joined = frames * tower.config.hidden_size // tower.config.intermediate_size
        for layer in (inner.multi_modal_projector.linear_1, inner.multi_modal_projector.linear_2):
            count.stage([layer], chunks * joined)
    clips, length = batch["input_ids"].shape
    *lower, last = inner.language_model.layers
    for block in lower:
        count.block(block, clips, length, computed=causal_share)
    answering = len(batch["logits_to_keep"]) if "logits_to_keep" in batch else None
    count.block(last, clips, length, computed=1.0 if answering else causal_share, answering=answering)
    count.stage([voxtral.lm_head(model)], clips * (answering or length))
    return count.flops


def _trains(layer: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in layer.parameters())
