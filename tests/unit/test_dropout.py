"""Dropout of adapters: the share that it says, the mean that it keeps, and the same numbers for the same seed whatever other threads draw."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from voxtune.model import cores, dropout, names, voxtral
from voxtune.model.dropout import SeededDropout
from voxtune.model.voxtral import Precision
from voxtune.settings import make


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9])
def test_the_share_and_the_mean_are_right(share: float) -> None:
    ones = torch.ones(1_000, 1_003)
    with dropout.drawing(1):
        dropped = SeededDropout(share)(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=0.003)
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - share)], rel=1e-3)
    # Neither the places in 64 bits nor neighbours know of each other.
    zeros = (dropped == 0).flatten()[: 4 * 250_000].view(-1, 4).float()
    assert zeros.mean(0).tolist() == pytest.approx([share] * 4, abs=0.005)
    assert torch.corrcoef(zeros.T).triu(1).abs().max() < 0.01


def test_gradients_pass_where_numbers_passed() -> None:
    numbers = torch.randn(7, 9, requires_grad=True)
    with dropout.drawing(2):
        out = SeededDropout(0.4)(numbers)
    out.sum().backward()
    assert numbers.grad is not None
    assert torch.allclose(numbers.grad * numbers, out)
    assert (out == 0).any()


def test_a_seed_gives_the_same_numbers_in_any_thread_and_draws_nothing_of_torchs() -> None:
    layer, ones = SeededDropout(0.3), torch.ones(500, 500)

    def draw(seed: int) -> torch.Tensor:
        with dropout.drawing(seed):
            return torch.stack([layer(ones), layer(ones)])

    state = torch.get_rng_state()
    alone = [draw(seed) for seed in range(6)]
    assert all(torch.equal(*pair) for pair in zip(alone, cores.side_by_side(draw, list(range(6))), strict=True))
    assert not torch.equal(alone[0][0], alone[0][1]), "each layer draws on"
    assert not torch.equal(alone[0], alone[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_outside_and_in_evaluation_it_is_torchs_own() -> None:
    ones = torch.ones(100, 100)
    torch.manual_seed(0)
    stock = nn.Dropout(0.2)(ones)
    torch.manual_seed(0)
    assert torch.equal(SeededDropout(0.2)(ones), stock)
    with dropout.drawing(0):
        assert torch.equal(SeededDropout(0.2).eval()(ones), ones)


def test_every_adapter_has_it_and_stock_peft_sees_no_difference() -> None:
    base = voxtral.load_base(names.find("tiny"), Precision(device="cpu", autocast=False, frozen=torch.float32))
    model = voxtral.prepare_training(base, make({"data": "x", "lora_dropout": 0.05}))
    found = [module for name, module in model.named_modules() if "lora_dropout." in name]
    assert found
    assert all(type(module) is SeededDropout and module.p == 0.05 for module in found)
