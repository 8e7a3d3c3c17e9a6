"""Merged weights: what the adapter on its base would say, in the base's own number type, or nothing; and the same under Mistral's names."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoProcessor, VoxtralForConditionalGeneration

from voxtune import files
from voxtune import settings as settings_files
from voxtune.errors import DiskFullError, InUseError, ModelError
from voxtune.model import merging, mistral_format, names, voxtral
from voxtune.model.names import ModelPlace, tiny_folder
from voxtune.workspace import RunFolder

FP32 = voxtral.Precision(device="cpu", autocast=False, frozen=torch.float32)


@pytest.fixture(scope="module")
def base16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in bfloat16, as a 3B is, with a params.json."""
    folder = tmp_path_factory.mktemp("base") / "base16"
    VoxtralForConditionalGeneration.from_pretrained(tiny_folder(), dtype=torch.bfloat16).save_pretrained(folder)
    AutoProcessor.from_pretrained(tiny_folder()).save_pretrained(folder)
    (folder / "params.json").write_text('{"dim": 128}')
    return folder


@pytest.fixture
def adapted(tmp_path: Path, demo_part: Callable[[int], Path]) -> Callable[..., RunFolder]:
    """Makes a run whose adapters, on every part, were not trained but drawn: large enough to be heard."""

    def make(base: str = "tiny", **changes: object) -> RunFolder:
        run = RunFolder(tmp_path / "run")
        settings = settings_files.make({"data": str(demo_part(4)), "model": base, **changes})
        settings_files.save(settings, run.settings)
        shutil.copy(demo_part(4), run.clips)
        place = names.find(base)
        precision = replace(FP32, frozen=merging.own_type(place))
        model = voxtral.prepare_training(voxtral.load_base(place, precision), settings)
        drawn = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight += 0.02 * torch.randn(weight.shape, generator=drawn)
        voxtral.save(model, voxtral.load_processor(place), run.model)
        return run

    return make


def test_only_what_was_adapted_differs_from_the_base(adapted: Callable[..., RunFolder], tmp_path: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    merging.export(adapted(lora_scope="language_model"), tmp_path / "out", lambda *step: steps.append(step))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "processor_config.json",
        "tekken.json",
    }
    before, after = load_file(tiny_folder() / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert {name: (value.shape, value.dtype) for name, value in before.items()} == {name: (value.shape, value.dtype) for name, value in after.items()}
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    adapted_layers = r"language_model\.model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.weight"
    assert changed == {name for name in before if re.fullmatch(adapted_layers, name)}
    assert [step[1] for step in steps] == sorted(step[1] for step in steps)
    assert steps[-1][1:] == (5, 5)


def test_a_base_in_half_precision_stays_in_it(adapted: Callable[..., RunFolder], base16: Path, tmp_path: Path) -> None:
    merging.export(adapted(str(base16)), tmp_path / "out")
    before, after = (load_file(folder / "model.safetensors") for folder in (base16, tmp_path / "out"))
    assert {name: value.dtype for name, value in after.items()} == {name: value.dtype for name, value in before.items()}
    assert {value.dtype for name, value in after.items() if "embed_positions" not in name} == {torch.bfloat16}
    assert {"consolidated.safetensors", "params.json"} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("base", ["tiny", "base16"])
def test_a_merge_that_went_wrong_leaves_nothing(
    adapted: Callable[..., RunFolder], base16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    """As if PEFT gave the base back as it was."""
    run = adapted(str(base16) if base == "base16" else "tiny")
    monkeypatch.setattr(peft.tuners.lora.LoraModel, "merge_and_unload", lambda self, *args, **more: self.unload())
    with pytest.raises(ModelError, match="does not answer as base and adapter do"):
        merging.export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".partial-*"))


def test_what_cannot_be_written_is_refused_before_it_is_begun(adapted: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = adapted()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    with pytest.raises(InUseError):
        merging.export(run, tmp_path / "taken")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(DiskFullError):
        merging.export(run, tmp_path / "out")
    monkeypatch.undo()
    files.write_lines(run.clips, [{"audio_path": "gone.wav", "text": "gone", "split": "test"}])
    with pytest.raises(ModelError, match="none of the recordings"):
        merging.export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _as_vllm_reads(weights: dict[str, torch.Tensor], config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Mistral's names and rows back to transformers', in the way that vLLM's loaders of Whisper and Llama do."""
    words = (
        *(("mm_whisper_embeddings.whisper_encoder.transformer.", "audio_tower."), ("mm_whisper_embeddings.whisper_encoder.conv_layers.0", "audio_tower.conv1")),
        *(("mm_whisper_embeddings.whisper_encoder.conv_layers.1", "audio_tower.conv2"), ("audio_tower.norm", "audio_tower.layer_norm")),
        *(("mm_whisper_embeddings.audio_language_projection.0", "multi_modal_projector.linear_1"), ("mm_whisper_embeddings.", "")),
        *(("audio_language_projection.2", "multi_modal_projector.linear_2"), ("tok_embeddings", "language_model.model.embed_tokens")),
    )
    found = {}
    for name, weight in weights.items():
        for old, new in words:
            name = name.replace(old, new)
        if name.startswith("audio_tower.layers"):
            name = re.sub(r"attention\.w([qkv])", r"self_attn.\1_proj", name)
            name = name.replace("attention.wo", "self_attn.out_proj").replace("feed_forward.w", "fc")
            name = name.replace("attention_norm", "self_attn_layer_norm").replace("ffn_norm", "final_layer_norm")
        elif name.startswith(("layers", "norm", "output")):
            heads = {"wq": config["num_attention_heads"], "wk": config["num_key_value_heads"]}.get(name.split(".")[-2])
            if heads:
                rows, width = weight.shape
                weight = weight.view(heads, rows // heads // 2, 2, width).transpose(1, 2).reshape(rows, width)
            name = re.sub(r"attention\.w([qkvo])", r"self_attn.\1_proj", name).replace("feed_forward.w1", "mlp.gate_proj")
            name = name.replace("feed_forward.w2", "mlp.down_proj").replace("feed_forward.w3", "mlp.up_proj")
            name = name.replace("attention_norm", "input_layernorm").replace("ffn_norm", "post_attention_layernorm")
            name = f"language_model.{name.replace('output', 'lm_head')}" if name.startswith("output") else f"language_model.model.{name}"
        found[name] = weight
    return found


def test_mistrals_format_holds_the_same_weights(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "model"))
    (tmp_path / "params.json").write_text("{}")
    mistral_format.write(folder, tmp_path / "params.json")
    written = load_file(folder / "consolidated.safetensors")
    assert len(written) == len(load_file(folder / "model.safetensors")) - 1
    read = _as_vllm_reads(written, json.loads((folder / "config.json").read_text())["text_config"])
    wanted = {name: value for name, value in load_file(folder / "model.safetensors").items() if "embed_positions" not in name}
    assert set(read) == set(wanted)
    assert all(torch.equal(read[name], wanted[name]) for name in wanted)
    queries = "layers.0.attention.wq.weight"
    assert not torch.equal(written[queries], wanted["language_model.model.layers.0.self_attn.q_proj.weight"])  # the rows have another order


def test_a_run_goes_on_with_the_base_that_it_began_with(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert names.base_of(run, "a/b") == ModelPlace(name="a/b", source="a/b")
    for line in ({"event": "machine", "base": {"name": "c/d", "revision": "1" * 40}}, {"event": "machine", "base": {"name": "a/b", "revision": "2" * 40}}):
        files.append_line(run.events, line)
    with run.events.open("a") as stream:
        stream.write('{"event": "machine", "base": {"name": "a/b", "revi')
    assert names.base_of(run, "a/b").revision == "2" * 40
    assert names.base_of(run, "a/b").pin == {"revision": "2" * 40}
    assert names.base_of(run, "tiny").pin == {}
    adapter = tmp_path / "adapter"
    files.write_json(adapter / "adapter_config.json", {"base_model_name_or_path": "a/b", "revision": "3" * 40})
    (adapter / "adapter_model.safetensors").touch()
    assert names.find(str(adapter)).revision == "3" * 40
    files.write_json(adapter / "adapter_config.json", {"base_model_name_or_path": str(tiny_folder()), "revision": "3" * 40})
    assert names.find(str(adapter)).revision is None
