"""Optimizer steps: every clip once an epoch, the same order for the same seed, and any cut into forward passes gives the same gradient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.clips import speech_like
from voxtune.dataset import store
from voxtune.model import names, voxtral
from voxtune.model.batches import IGNORED, Encoder, Example
from voxtune.model.loss import summed_loss
from voxtune.model.prepared import PreparedClips
from voxtune.model.voxtral import Precision
from voxtune.settings import make
from voxtune.training import steps
from voxtune.training.pace import steps_an_epoch

TINY = names.find("tiny")
FP32 = Precision(device="cpu", autocast=False, frozen=torch.float32)
TEXTS = [f"sentence number {number}" for number in range(13)]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(voxtral.load_processor(TINY))


@pytest.fixture
def prepared(dataset: Callable[..., Path], encoder: Encoder) -> PreparedClips:
    return PreparedClips(store.load(dataset(TEXTS), strict=False).clips, encoder)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 1), (4, 2), (5, 1), (3, 5)])
def test_every_clip_comes_once_an_epoch_in_steps_of_one_size(prepared: PreparedClips, batch_size: int, accumulation: int) -> None:
    settings = make({"data": "x", "batch_size": batch_size, "gradient_accumulation_steps": accumulation})
    sampler = steps.Steps(prepared, settings)
    found = list(sampler)
    assert sorted(place for step in found for place, _ in step) == list(range(len(TEXTS)))
    assert {len(step) for step in found[:-1]} <= {batch_size * accumulation}
    assert len(found) == len(sampler) == steps_an_epoch(settings, len(TEXTS))
    assert [sampler.after(step) for step in found] == [*found[1:], []]


def test_the_order_is_that_of_seed_and_epoch_alone(prepared: PreparedClips) -> None:
    def order(seed: int, epoch: int) -> list[object]:
        sampler = steps.Steps(prepared, make({"data": "x", "seed": seed}))
        sampler.set_epoch(epoch)
        return [item for step in sampler for item in step]

    assert order(1, 0) == order(1, 0)
    assert len({str(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_a_loader_gives_whole_steps_and_skips_them_as_transformers_resumes(prepared: PreparedClips, encoder: Encoder) -> None:
    from accelerate import skip_first_batches

    settings = make({"data": "x", "batch_size": 2, "gradient_accumulation_steps": 2})
    whole = steps.loader(prepared, encoder, settings)
    whole.set_epoch(3)
    seen = [[number for batches in step[steps.ROUNDS] for batch in batches for number in batch[steps.CLIP_NUMBERS].tolist()] for step in whole]
    skipping = skip_first_batches(steps.loader(prepared, encoder, settings), 2)
    skipping.batch_sampler.batch_sampler.set_epoch(3)
    rest = [[number for batches in step[steps.ROUNDS] for batch in batches for number in batch[steps.CLIP_NUMBERS].tolist()] for step in skipping]
    assert rest == seen[2:]


def _example(encoder: Encoder, duration_s: float, words: int, number: int) -> Example:
    mel = encoder.mel(speech_like(duration_s))
    return encoder.around(mel, language="en", answer=encoder.answer(" ".join(["play"] * words)), duration_s=duration_s, number=number)


def test_clips_go_together_by_chunks_and_length_within_a_budget(encoder: Encoder) -> None:
    examples = [_example(encoder, *each) for each in [(1, 5, 0), (61, 90, 1), (2, 3, 2), (31, 4, 3), (1, 60, 4), (1, 4, 5), (62, 80, 6), (3, 6, 7)]]
    batches = steps.micro_batches(examples, 4)
    assert [[each.number for each in some] for some in batches] == [[2, 5, 0, 7], [4], [3], [6], [1]]
    assert all(len({each.num_chunks for each in some}) == 1 for some in batches)
    # Four clips of one chunk may go together, and of three chunks one.
    assert [len(some) for some in steps.micro_batches([_example(encoder, 70, 5, number) for number in range(4)], 4)] == [1, 1, 1, 1]
    assert [len(some) for some in steps.micro_batches([_example(encoder, 70, 5, number) for number in range(4)], 8)] == [3, 1]
    assert [len(some) for some in steps.micro_batches([_example(encoder, 600, 5, number) for number in range(2)], 1)] == [1, 1]


def test_a_validation_batch_is_cut_like_a_step_and_counts_as_all_its_clips(encoder: Encoder) -> None:
    """transformers weighs a batch's loss by the size of the first tensor that it finds in it."""
    from transformers.trainer_pt_utils import find_batch_size

    examples = [_example(encoder, *each) for each in [(1, 5, 0), (61, 20, 1), (2, 3, 2)]]
    batch = steps.collated(examples, encoder=encoder, batch_size=8)
    assert find_batch_size(batch) == 3
    assert [each[steps.CLIP_NUMBERS].tolist() for (each,) in batch[steps.ROUNDS]] == [[2, 0], [1]]
    # Clips of unlike length apart have logits of their labels alone; together they would have those of all that lies between.
    longest = [max(len(examples[place].loss_ids) for place in places) for places in ((2, 0), (1,))]
    assert [len(each["logits_to_keep"]) for (each,) in batch[steps.ROUNDS]] == longest


@pytest.mark.parametrize(
    ("at_once", "shares"), [(1, [[2, 5, 0, 7], [4]]), (2, [[2, 5], [0, 7], [4]]), (3, [[2, 5], [0, 7], [4]]), (9, [[2], [5], [0], [7], [4]])]
)
def test_what_is_in_memory_together_is_shared_out_among_passes(encoder: Encoder, at_once: int, shares: list[list[int]]) -> None:
    examples = [_example(encoder, *each) for each in [(1, 5, 0), (2, 3, 2), (1, 60, 4), (1, 4, 5), (3, 6, 7)]]
    rounds = steps.collated(examples, encoder=encoder, batch_size=4, at_once=at_once)[steps.ROUNDS]
    assert [sum(len(batch["labels"]) for batch in batches) for batches in rounds] == [4, 1], "as many in memory as one after the other"
    assert [batch[steps.CLIP_NUMBERS].tolist() for batches in rounds for batch in batches] == shares


def _gradients(encoder: Encoder, batches: list[list[Example]]) -> tuple[float, dict[str, Tensor]]:
    torch.manual_seed(0)
    model = voxtral.prepare_training(voxtral.load_base(TINY, FP32), make({"data": "x", "lora_dropout": 0, "freeze_audio_tower": True})).train()
    total = sum(sum(label != IGNORED for label in example.labels) for some in batches for example in some)
    loss = torch.zeros(())
    for some in batches:
        share = summed_loss(model, encoder.training_batch(some)) / total
        share.backward()
        loss += share.detach()
    return float(loss), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def test_the_cut_changes_neither_loss_nor_gradient_and_they_are_those_of_stock_transformers(encoder: Encoder) -> None:
    examples = [_example(encoder, *each) for each in [(1, 5, 0), (31, 12, 1), (2, 1, 2), (1, 30, 3), (3, 2, 4)]]
    loss, gradients = _gradients(encoder, steps.micro_batches(examples, 4))
    for batches in ([examples], [[each] for each in examples], steps.micro_batches(examples, 2)):
        other, same = _gradients(encoder, batches)
        assert other == pytest.approx(loss, rel=1e-5)
        assert all(torch.allclose(same[name], gradient, atol=1e-5, rtol=1e-3) for name, gradient in gradients.items())

    torch.manual_seed(0)
    model = voxtral.prepare_training(voxtral.load_base(TINY, FP32), make({"data": "x", "lora_dropout": 0, "freeze_audio_tower": True})).train()
    stock = model(**encoder.collate(examples)).loss
    stock.backward()
    assert float(stock.detach()) == pytest.approx(loss, rel=1e-5)
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            assert torch.allclose(weight.grad, gradients[name], atol=1e-5, rtol=1e-3), name


def test_only_label_positions_are_given_logits(encoder: Encoder) -> None:
    examples = [_example(encoder, 1, words, words) for words in (2, 9)]
    model = voxtral.load_base(TINY, FP32)
    seen: list[tuple[int, ...]] = []
    model.lm_head.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape)))
    with torch.no_grad():
        summed_loss(model, encoder.training_batch(examples))
    longest = max(len(example.loss_ids) for example in examples)
    assert [shape[:2] for shape in seen] == [(2, longest)]


def test_attention_is_given_no_dense_mask_in_training(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it takes the fast causal path; the last layer's few queries have a mask of their own size."""
    model = voxtral.load_base(TINY, FP32)
    seen: list[tuple[int, bool]] = []
    stock = torch.nn.functional.scaled_dot_product_attention

    def looking(query: Tensor, *args: object, attn_mask: Tensor | None = None, **kwargs: object) -> Tensor:
        if query.shape[2] != 1_500:  # the tower's
            seen.append((0 if attn_mask is None else attn_mask.numel(), bool(kwargs.get("is_causal"))))
        return stock(query, *args, attn_mask=attn_mask, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", looking)
    batch = encoder.training_batch([_example(encoder, 1, words, words) for words in (2, 9)])
    with torch.no_grad():
        summed_loss(model, batch)
    assert seen == [(0, True), (0, True), (len(batch["logits_to_keep"]) * batch["input_ids"].shape[1], False)]


def test_the_last_layer_is_as_it_was_afterwards(encoder: Encoder) -> None:
    """Also where the model is trained with checkpointing, which computes it again later, and after an error."""
    model = voxtral.load_base(TINY, FP32)
    batch = encoder.training_batch([_example(encoder, 1, 4, 0)])
    layer = voxtral.inner(model).language_model.layers[-1]
    stock = model(input_ids=batch["input_ids"], input_features=batch["input_features"], labels=batch["labels"]).loss * int((batch["labels"] != IGNORED).sum())
    assert torch.allclose(summed_loss(model, batch), stock, rtol=1e-5)
    with pytest.raises(KeyError):
        summed_loss(model, {name: batch[name] for name in ("input_ids", "labels", "logits_to_keep")})
    seen: list[torch.Size] = []
    layer.register_forward_hook(lambda _, __, out: seen.append(out.shape))
    with torch.no_grad():
        model(input_ids=torch.tensor([[1, 3, 4]]))
    assert seen == [torch.Size([1, 3, 128])]
    model.train()
    model.activation_checkpointing_enable({"use_reentrant": False})
    again = summed_loss(model, batch)
    again.backward()
    assert torch.allclose(again, stock, rtol=1e-5)
