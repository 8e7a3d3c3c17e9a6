"""Where the time of a step goes on the device: by kernel, and by kind of kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from voxtune.model.voxtral import Precision

_KINDS = (  # the first whose word is in a kernel's name
    ("attention", ("flash", "fmha", "sdpa", "attention")),
    ("optimizer and clipping", ("multi_tensor_apply", "adam", "foreach")),
    ("loss", ("softmax", "nll_loss", "cross_entropy", "crossentropy", "liger")),
    ("4 bits", ("quantize",)),
    ("matmul", ("gemm", "gemv", "nvjet", "xmma", "cutlass", "addmm", "::mm", "bmm", "convolution", "conv1d", "implicit")),
    ("copies and casts", ("memcpy", "memset", "copy", "to_copy", "fill")),
)
_OTHER = "elementwise, norms and the like"
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One step."""

    kernels: list[tuple[str, float]]
    """The costliest, each with its share of the step."""
    kinds: dict[str, float]
    """Share of the step by kind, idle time of the device too; largest first."""


def profile_step(step: Callable[[], None], wall_s: float, precision: Precision) -> Profile:
    """Of a step that takes `wall_s` when it is not profiled."""
    cuda = precision.device == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as seen:
        step()
        if cuda:
            torch.cuda.synchronize()
    taken: dict[str, float] = {}
    for event in seen.key_averages():
        found: Any = event
        # Of what is listed beside the kernels, calls on the CPU carry their kernels' time once more, and so do spans such as an optimizer's step.
        if found.is_user_annotation or (cuda and found.device_type.name == "CPU"):
            continue
        taken[found.key] = taken.get(found.key, 0.0) + (found.self_device_time_total if cuda else found.self_cpu_time_total) / 1e6
    # The profiler slows a step on the CPU: shares are of what it saw, where that is more.
    whole_s = max(wall_s, sum(taken.values()))
    kinds: dict[str, float] = {}
    for name, seconds in taken.items():
        kinds[_kind(name)] = kinds.get(_kind(name), 0.0) + seconds / whole_s
    kinds["idle"] = 1 - sum(kinds.values())
    largest = sorted(taken.items(), key=lambda item: -item[1])[:_SHOWN]
    return Profile(kernels=[(name, seconds / whole_s) for name, seconds in largest], kinds=dict(sorted(kinds.items(), key=lambda item: -item[1])))


def _kind(name: str) -> str:
    lower = name.lower()
    return next((kind for kind, words in _KINDS if any(word in lower for word in words)), _OTHER)
