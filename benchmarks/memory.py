"""Estimated against measured peak memory of real training. `python benchmarks/memory.py [--processes | --model-shape 3b]`.

Without options: what torch allocates on the CPU, by its profiler, in two optimizer steps of a model of the tiny model's sizes. `--processes`: resident
size of whole runs of `voxtune train`, as the system tells it. `--model-shape 3b`: two steps of Voxtral Mini's sizes with random weights, on a GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.shapes import models
from voxtune.model import tower, voxtral
from voxtune.model.batches import IGNORED
from voxtune.model.loss import summed_loss
from voxtune.model.tower import AudioPath
from voxtune.settings import TrainSettings, make
from voxtune.training import memory
from voxtune.training.shape import shape_of

ROOT = Path(__file__).parent.parent
AUDIO_S, PROMPT_TOKENS, TEXT_TOKENS = 20.0, 385, 60  # 375 of the prompt are of the sound, whatever its length up to 30 s
VARIANTS: dict[str, dict[str, object]] = {
    "LoRA, all": {},
    "LoRA, language model": {"lora_scope": "language_model"},
    "LoRA, tower frozen": {"freeze_audio_tower": True},
    "LoRA, top tower layer": {"train_tower_layers": 1},
    "full": {"method": "full"},
    "LoRA, all, checkpointing": {"gradient_checkpointing": True},
    "LoRA, tower frozen, checkpointing": {"gradient_checkpointing": True, "freeze_audio_tower": True},
    "full, checkpointing": {"gradient_checkpointing": True, "method": "full"},
}
RUNS = {"LoRA, all": 4, "LoRA, language model": 1, "LoRA, tower frozen": 4, "LoRA, top tower layer": 2, "full": 4, "LoRA, all, checkpointing": 4}
"""Variants of --processes, and their batches."""
SIDES = [*["train"] * 16, *["validation"] * 8, *["test"] * 2]
"""Of the demo voice's first clips, with --processes."""


def _model(config: Any, settings: TrainSettings, precision: voxtral.Precision) -> Any:
    """A model to train, of random weights made on its device."""
    model: Any = voxtral.prepare_training(models.base(config, precision), settings)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})  # as transformers' Trainer does it
    return model.train()


def _batch(config: Any, clips: int) -> dict[str, torch.Tensor]:
    """Clips of one chunk, without their sound; of several the last has half the text."""
    ids = torch.randint(config.audio_token_id + 1, config.text_config.vocab_size, (clips, PROMPT_TOKENS + TEXT_TOKENS + 1))
    ids[:, 3:378] = config.audio_token_id
    labels = ids.clone()
    labels[:, :PROMPT_TOKENS] = IGNORED
    if clips > 1:
        labels[-1, -TEXT_TOKENS // 2 :] = IGNORED
    return {"input_ids": ids, "labels": labels, "logits_to_keep": torch.arange(PROMPT_TOKENS - 1, ids.shape[1] - 1)}


def _two_steps(model: Any, path: AudioPath | None, batch: dict[str, torch.Tensor], settings: TrainSettings, precision: voxtral.Precision) -> None:
    mel = torch.randn(settings.batch_size * settings.gradient_accumulation_steps, model.config.audio_config.num_mel_bins, 3_000)
    features = mel if path is None else path.outputs(mel)
    del mel
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    for _ in range(2):  # the first makes Adam's moments
        for some in features.split(settings.batch_size):
            with torch.autocast(precision.device, torch.bfloat16, enabled=precision.autocast):
                loss = summed_loss(model, {**batch, "input_features": some.to(precision.device)})
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            del loss
        torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()


def _peaks(config: Any, settings: TrainSettings, precision: voxtral.Precision) -> list[int]:
    """[allocated] on the CPU, [reserved, allocated] on a GPU: bytes at the highest moment, those of model and batch too; [] if memory ran out."""
    try:
        model = _model(config, settings, precision)
        frozen = tower.depth(settings, voxtral.num_tower_layers(model))
        path = AudioPath(model, frozen, precision) if frozen.layers else None
        batch = {name: value.to(precision.device) for name, value in _batch(config, settings.batch_size).items()}
        gc.collect()
        if precision.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            _two_steps(model, path, batch, settings, precision)
            return [torch.cuda.max_memory_reserved(), torch.cuda.max_memory_allocated()]
        lasting = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in [*model.parameters(), *model.buffers(), *batch.values()]}
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            _two_steps(model, path, batch, settings, precision)
    except torch.OutOfMemoryError:
        return []
    recorded: Any = seen.profiler
    events = [event for event in recorded.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return [sum(lasting.values()) + int(np.cumsum(changes).max())]


def _measure_steps(model_shape: str, precisions: dict[str, voxtral.Precision], batches: list[int]) -> None:
    config = models.sizes(model_shape)
    for told, precision in precisions.items():
        for name, clips in ((name, clips) for name in VARIANTS for clips in batches):
            settings = make({"data": "-", "eval_batch_size": 1, "batch_size": clips, **VARIANTS[name]})
            device: memory.Device = "cuda" if precision.device == "cuda" else "cpu"
            extent = memory.Extent(longest_s=AUDIO_S, text_tokens=TEXT_TOKENS)
            found = memory.estimate(shape_of(config.to_dict()), settings, extent, device=device, autocast=precision.autocast)
            peaks = _peaks(config, settings, precision)
            gc.collect()
            _row(f"{name}, batch {clips}, {told}", peaks, found.total_bytes - found.libraries_bytes - found.allocator_bytes)


def _measure_runs(folder: Path) -> None:
    lines = [line.split("|") for line in (ROOT / "examples" / "demo_voice" / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    sound = ROOT / "examples" / "demo_voice" / "wavs"
    rows = [{"audio_path": f"{sound}/{line[0]}.flac", "text": line[1], "split": side} for line, side in zip(lines, SIDES, strict=False)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "VOXTUNE_CACHE": str(folder / "cache")}
    for name, clips in RUNS.items():
        settings = {"data": "data.jsonl", "model": "tiny", "language": "en", "epochs": 2, "logging_steps": 1, "trackio": False, "batch_size": clips}
        file = folder / f"{name}.yaml"
        file.write_text(json.dumps({**settings, **VARIANTS[name], "output": name}), encoding="utf-8")  # JSON is YAML
        command = [sys.executable, "-m", "voxtune", "train", str(file), "--no-queue", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
        found = {} if done.returncode else json.loads(done.stdout)["memory"]
        _row(f"{name}, batch {clips}", [found["peak_bytes"]] if found else [], found.get("total_bytes", 0))
        sys.stderr.write(done.stderr if done.returncode else "")


def _row(label: str, peaks: list[int], estimated: int) -> None:
    measured, ratio = (" (".join(f"{peak / 1e6:,.0f}" for peak in peaks) + ")" * (len(peaks) - 1), f"{estimated / peaks[0]:.2f}") if peaks else ("failed", "")
    print(f"| {label} | {measured} | {estimated / 1e6:,.0f} | {ratio} |", flush=True)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--processes", action="store_true", help="whole runs, on the CPU")
    way.add_argument("--model-shape", choices=["tiny", "3b"], default="tiny", help="3b needs an NVIDIA GPU with bf16; measured is reserved (allocated)")
    options = parser.parse_args()
    if options.model_shape == "3b" and not torch.cuda.is_available():
        print("--model-shape 3b needs an NVIDIA GPU, and there is none here.")
        return
    print("| setting | measured MB | estimated MB | estimated / measured |\n|---|---|---|---|", flush=True)
    if options.processes:
        with tempfile.TemporaryDirectory() as name:
            _measure_runs(Path(name))
    elif options.model_shape == "3b":
        _measure_steps("3b", {"bf16": voxtral.Precision(device="cuda", autocast=True, frozen=torch.bfloat16)}, [1, 2, 4])
        free, whole = torch.cuda.mem_get_info()
        print(f"\nTaken besides: {(whole - free - torch.cuda.memory_reserved()) / 1e6:,.0f} MB (CUDA itself, and other programs).")
    else:
        both = {told: voxtral.Precision(device="cpu", autocast=told == "bf16", frozen=torch.float32) for told in ("fp32", "bf16")}
        _measure_steps("tiny", both, [1, 4])


if __name__ == "__main__":
    main()
