"""The loss of a batch, from logits where there are labels and nowhere else.

A clip of Voxtral is some 400 tokens, of which the 20 of its transcript carry loss; logits of all of them are 131,072 numbers each. Padding
is on the right and attention looks to the left, so no token of a clip sees any, and no mask is needed: without one, attention takes its
fast causal path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from voxtune.model import voxtral
from voxtune.model.batches import IGNORED
from voxtune.model.last_layer import answering

_MANY_LOGITS = 1 << 28
"""From here on (2,048 labels of Voxtral's vocabulary, 1 GB in fp32) Liger's fused loss is taken where it is installed: it holds a slice at a time."""


def summed_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy in nats, summed over all labels of a batch of `Encoder.training_batch`."""
    where = batch["logits_to_keep"]
    targets = batch["labels"].index_select(1, where + 1).flatten()  # a token is predicted by the one before it
    head = voxtral.lm_head(model)
    fused = _liger() if targets.is_cuda and len(targets) * head.out_features >= _MANY_LOGITS else None
    with answering(model, where) as only_these, _passing(head) if fused else contextlib.nullcontext():
        kept = {} if only_these else {"logits_to_keep": where}
        made = model(input_ids=batch["input_ids"], input_features=batch["input_features"], use_cache=False, **kept).logits.flatten(0, 1)
    if fused:
        loss: Tensor = fused(ignore_index=IGNORED, reduction="sum")(head.weight, made.to(head.weight.dtype), targets)
        return loss
    return functional.cross_entropy(made.float(), targets, ignore_index=IGNORED, reduction="sum")


def _liger() -> Any:
    try:
        from liger_kernel.transformers.fused_linear_cross_entropy import LigerFusedLinearCrossEntropyLoss  # type: ignore[import-not-found, unused-ignore]
    except ImportError:  # optional
        return None
    return LigerFusedLinearCrossEntropyLoss


@contextlib.contextmanager
def _passing(head: nn.Linear) -> Iterator[None]:
    """The model gives its last hidden states in place of logits."""
    vars(head)["forward"] = lambda hidden: hidden  # of this one module alone
    try:
        yield
    finally:
        del vars(head)["forward"]
