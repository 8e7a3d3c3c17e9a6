"""Estimated against measured peak memory of real training steps. `python benchmarks/memory.py [--processes | --model-shape 3b]`.

Without options: what torch has allocated on the CPU, by its profiler, in two optimizer steps of the tiny model. `--processes`: what whole runs of
`voxtune train` say of themselves, resident size as the system counts it. `--model-shape 3b`: Voxtral Mini's sizes with random weights, on a GPU.
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
from typing import Any, Literal

import numpy as np
import torch
from transformers import VoxtralConfig, VoxtralForConditionalGeneration

from voxtune.model import names, voxtral
from voxtune.settings import TrainSettings, make
from voxtune.training import memory
from voxtune.training.shape import shape_of

Device = Literal["cpu", "cuda"]
ROOT = Path(__file__).parent.parent
AUDIO_TOKENS, PROMPT_TOKENS, TEXT_TOKENS = 375, 10, 60
BATCHES = {"cpu": (1, 4), "cuda": (1, 2, 4)}
LM, FROZEN, AGAIN, FULL = {"lora_scope": "language_model"}, {"freeze_audio_tower": True}, {"gradient_checkpointing": True}, {"method": "full"}
STEPS: dict[Device, list[dict[str, object]]] = {
    "cpu": [{}, LM, FROZEN, {"train_tower_layers": 1}, FULL, AGAIN, AGAIN | FROZEN, AGAIN | FULL],
    "cuda": [{}, LM, FROZEN, AGAIN, AGAIN | FROZEN, AGAIN | FULL],
}
IN_BF16: list[dict[str, object]] = [{}, LM, FULL, AGAIN]
PROCESSES: list[dict[str, object]] = [
    {},
    LM | {"batch_size": 1},
    FROZEN,
    {"train_tower_layers": 1, "batch_size": 2},
    FULL,
    AGAIN,
    AGAIN | FULL | {"batch_size": 1},
]
SIDES = {"train": 32, "validation": 8, "test": 2}
"""Clips of the demo voice in a run of --processes."""


def _sizes(model_shape: str) -> VoxtralConfig:
    if model_shape == "tiny":
        return VoxtralConfig.from_pretrained(str(names.tiny_folder()))
    audio = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120, "num_mel_bins": 128}
    text = {"hidden_size": 3072, "num_hidden_layers": 30, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    text |= {"model_type": "llama", "intermediate_size": 8192, "vocab_size": 131_072, "max_position_embeddings": 131_072}
    return VoxtralConfig(audio_config=audio, text_config=text, audio_token_id=24)


def _model(config: VoxtralConfig, settings: TrainSettings, precision: voxtral.Precision) -> Any:
    """A model to train, of random weights made on its device."""
    torch.set_default_dtype(precision.frozen)
    try:
        with torch.device(precision.device):
            base = VoxtralForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(torch.float32)
    base.model.audio_tower.embed_positions.float()  # as from_pretrained leaves it
    model: Any = voxtral.prepare_training(base, settings)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})  # as transformers' Trainer does it
    return model.train()


def _batch(config: VoxtralConfig, clips: int, device: Device) -> dict[str, torch.Tensor]:
    """Clips of one chunk, the last with half the text of the others, so that there is a mask."""
    length = AUDIO_TOKENS + PROMPT_TOKENS + TEXT_TOKENS + 1
    ids = torch.randint(config.audio_token_id + 1, config.text_config.vocab_size, (clips, length))
    ids[:, 3 : 3 + AUDIO_TOKENS] = config.audio_token_id
    mask, labels = torch.ones_like(ids), ids.clone()
    labels[:, : AUDIO_TOKENS + PROMPT_TOKENS] = -100
    if clips > 1:
        mask[-1, -TEXT_TOKENS // 2 :], labels[-1, -TEXT_TOKENS // 2 :] = 0, -100
    features = torch.randn(clips, config.audio_config.num_mel_bins, 3_000)
    return {name: value.to(device) for name, value in {"input_ids": ids, "attention_mask": mask, "labels": labels, "input_features": features}.items()}


def _two_steps(model: Any, batch: dict[str, torch.Tensor], settings: TrainSettings, *, autocast: bool) -> None:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    for _ in range(2):  # the first makes Adam's moments
        for _ in range(min(2, settings.gradient_accumulation_steps)):
            with torch.autocast(batch["labels"].device.type, torch.bfloat16, enabled=autocast):
                loss = model(**batch).loss
            loss.backward()
            del loss
        torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()


def _peaks(config: VoxtralConfig, settings: TrainSettings, precision: voxtral.Precision) -> list[int]:
    """[allocated on the CPU], or [reserved, allocated] on a GPU: bytes at the highest moment, model and batch counted in."""
    device: Device = "cuda" if precision.device == "cuda" else "cpu"
    model, batch = _model(config, settings, precision), _batch(config, settings.batch_size, device)
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        _two_steps(model, batch, settings, autocast=precision.autocast)
        return [torch.cuda.max_memory_reserved(), torch.cuda.max_memory_allocated()]
    lasting = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in [*model.parameters(), *model.buffers(), *batch.values()]}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        _two_steps(model, batch, settings, autocast=precision.autocast)
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return [sum(lasting.values()) + int(np.cumsum(changes).max())]


def _measure_steps(model_shape: str, device: Device) -> None:
    config = _sizes(model_shape)
    bf16 = [(values, True) for values in (STEPS["cuda"] if device == "cuda" else IN_BF16)]
    cases = bf16 if device == "cuda" else [(values, False) for values in STEPS["cpu"]] + bf16
    print(f"| step | measured MB | estimated MB | ratio |{' allocated MB |' if device == 'cuda' else ''}")
    print(f"|---|---|---|---|{'---|' if device == 'cuda' else ''}", flush=True)
    for (values, autocast), clips in ((case, clips) for case in cases for clips in BATCHES[device]):
        settings = make({"data": "-", "eval_batch_size": 1, "batch_size": clips, **values})
        frozen = torch.bfloat16 if device == "cuda" and autocast else torch.float32
        found = memory.estimate(shape_of(config.to_dict()), settings, device=device, autocast=autocast, audio_s=20.0, text_tokens=TEXT_TOKENS)
        try:
            peaks = _peaks(config, settings, voxtral.Precision(device=device, autocast=autocast, frozen=frozen))
        except torch.OutOfMemoryError:
            peaks = []
        gc.collect()
        label = _label(values | {"batch_size": clips}) + (", bf16" if autocast else "")
        _row(label, peaks, found.total_bytes - found.libraries_bytes - found.allocator_bytes)
    if device == "cuda":
        torch.cuda.empty_cache()
        free, whole = torch.cuda.mem_get_info()
        print(f"\nBesides, taken on {torch.cuda.get_device_name()}: {(whole - free - torch.cuda.memory_reserved()) / 1e6:.0f} MB (CUDA, and other programs).")


def _measure_processes() -> None:
    lines = (ROOT / "examples" / "demo_voice" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    sides = [side for side, count in SIDES.items() for _ in range(count)]
    print("| run | measured MB | estimated MB | ratio |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data.jsonl"
        clips = [(line.split("|"), side) for line, side in zip(lines, sides, strict=False)]
        rows = [{"audio_path": str(ROOT / f"examples/demo_voice/wavs/{key}.flac"), "text": text, "language": "en", "split": s} for (key, text, *_), s in clips]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "VOXTUNE_STATE": str(Path(name) / "state")}
        for place, values in enumerate(PROCESSES):
            flags = [f"--{key.replace('_', '-')}" + ("" if value is True else f"={value}") for key, value in values.items()]
            fixed = ["--data", str(data), "--model", "tiny", "--epochs", "2", "--logging-steps", "1", "--no-trackio", "--no-queue", "--json"]
            command = [sys.executable, "-m", "voxtune", "train", *fixed, "--output", str(Path(name) / str(place)), *flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=name)
            if done.returncode:
                print(f"| {_label(values)} | failed: {(done.stderr.strip().splitlines() or ['?'])[-1]} | | |", flush=True)
                continue
            found = json.loads(done.stdout)["memory"]
            _row(_label(values), [found["peak_bytes"]], found["total_bytes"])


def _label(values: dict[str, object]) -> str:
    known = {"method": "full", "lora_scope": "LoRA, language model", "batch_size": f"batch {values.get('batch_size', 4)}"}
    known |= {"freeze_audio_tower": "tower frozen", "train_tower_layers": "top tower layer", "gradient_checkpointing": "checkpointing"}
    told = {"batch_size": 4, **values}
    kind = [] if "method" in values or "lora_scope" in values else ["LoRA, all"]
    return ", ".join(kind + [known[key] for key in known if key in told and (key not in ("freeze_audio_tower",) or told[key])])


def _row(label: str, peaks: list[int], estimated: int) -> None:
    measured, ratio = (f"{peaks[0] / 1e6:,.0f}", f"{estimated / peaks[0]:.2f}") if peaks else ("out of memory", "")
    print(f"| {label} | {measured} | {estimated / 1e6:,.0f} | {ratio} |" + "".join(f" {each / 1e6:,.0f} |" for each in peaks[1:]), flush=True)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--processes", action="store_true", help="whole runs of `voxtune train` on the CPU")
    way.add_argument("--model-shape", choices=["tiny", "3b"], default="tiny", help="3b needs an NVIDIA GPU with bf16")
    options = parser.parse_args()
    if options.processes:
        _measure_processes()
    elif options.model_shape == "tiny":
        _measure_steps("tiny", "cpu")
    elif torch.cuda.is_available():
        _measure_steps("3b", "cuda")
    else:
        print("--model-shape 3b needs an NVIDIA GPU; there is none here.")


if __name__ == "__main__":
    main()
