"""The most that this device does of large matrix products: what a step can be held against."""

from __future__ import annotations

import torch

from benchmarks.shapes.stepping import median_s
from voxtune.model.voxtral import Precision

_WIDTHS = {"cuda": (4096, 8192, 16_384), "cpu": (512, 1024)}
_GOES = 10


def flops_a_second(precision: Precision) -> float:
    """Of the best of some sizes, in the number type of a step."""
    dtype = torch.bfloat16 if precision.autocast else precision.frozen
    best = 0.0
    for width in _WIDTHS[precision.device]:
        left, right = (torch.randn(width, width, device=precision.device, dtype=dtype) for _ in range(2))

        def products(left: torch.Tensor = left, right: torch.Tensor = right) -> None:
            for _ in range(_GOES):
                torch.mm(left, right)

        products()
        best = max(best, _GOES * 2 * width**3 / median_s(products, precision, 3))
    return best
