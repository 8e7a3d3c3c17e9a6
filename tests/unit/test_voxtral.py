from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from voxtune.errors import CallError, ModelError, SettingsError
from voxtune.model import names, voxtral
from voxtune.settings import PARTS, make


@pytest.fixture
def precision() -> voxtral.Precision:
    return voxtral.choose_precision("fp32")


def _trained(values: dict[str, object], precision: voxtral.Precision) -> tuple[dict[str, int], torch.nn.Module]:
    model = voxtral.load_base(names.find("tiny"), precision)
    prepared = voxtral.prepare_training(model, make({"data": "d", **values}))
    return voxtral.trainable_parameters(prepared), prepared


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_tower_has_nothing_that_trains(method: str, frozen: bool, precision: voxtral.Precision) -> None:
    found, model = _trained({"method": method, "freeze_audio_tower": frozen}, precision)
    assert (found["audio_tower"] == 0) is frozen
    assert found["language_model"] > 0
    assert found["projector"] > 0
    assert sum(found.values()) == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(
    ("scope", "parts"),
    [
        ("all", set(PARTS)),
        ("language_model", {"language_model"}),
        ("language_model+projector", {"language_model", "projector"}),
        ("audio_tower", {"audio_tower"}),
    ],
)
def test_adapters_are_in_the_parts_of_the_scope_alone(scope: str, parts: set[str], precision: voxtral.Precision) -> None:
    found, _ = _trained({"lora_scope": scope}, precision)
    assert {part for part, count in found.items() if count} == parts


def test_every_linear_layer_of_a_part_is_adapted(precision: voxtral.Precision) -> None:
    base = voxtral.load_base(names.find("tiny"), precision)
    linear = {name for name, module in base.named_modules() if isinstance(module, torch.nn.Linear)} - {"lm_head"}
    adapted = voxtral.prepare_training(base, make({"data": "d"}))
    found = {name.removeprefix("base_model.model.").removesuffix(".lora_A") for name, _ in adapted.named_modules() if name.endswith(".lora_A")}
    assert found == linear


@pytest.mark.parametrize("method", ["lora", "full"])
def test_only_the_top_layers_of_the_tower_train_when_asked(method: str, precision: voxtral.Precision) -> None:
    _, model = _trained({"method": method, "train_tower_layers": 1}, precision)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad and "audio_tower" in name}
    layers = voxtral.num_tower_layers(voxtral.load_base(names.find("tiny"), precision))
    assert trained
    assert all(f"layers.{layers - 1}." in name for name in trained)
    with pytest.raises(SettingsError, match="has"):
        _trained({"method": method, "train_tower_layers": 99}, precision)


def test_what_trains_is_fp32(precision: voxtral.Precision) -> None:
    half = voxtral.Precision(device="cpu", autocast=True, frozen=torch.bfloat16)
    for method in ("lora", "full"):
        _, model = _trained({"method": method}, half)
        assert {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} == {torch.float32}


def test_four_bits_without_a_gpu_are_refused_clearly(precision: voxtral.Precision) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(SettingsError, match="needs an NVIDIA GPU"):
        voxtral.load_base(names.find("tiny"), precision, in_4bit=True)


def test_a_name_of_nothing_is_a_wrong_call(tmp_path: Path) -> None:
    for name in ("nothing-here", "./gone", str(tmp_path / "no"), "a/b/c"):
        with pytest.raises(CallError, match="no model"):
            names.find(name)
    assert names.find("mistralai/Voxtral-Mini-3B-2507").source == "mistralai/Voxtral-Mini-3B-2507"


def test_a_folder_that_is_no_whole_model_is_refused(tmp_path: Path, precision: voxtral.Precision) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        names.find(str(tmp_path))
    tiny = names.tiny_folder()
    shutil.copy(tiny / "config.json", tmp_path)
    with pytest.raises(ModelError, match="holds no weights"):
        names.find(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:50_000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        voxtral.load_base(names.find(str(tmp_path)), precision)
    with pytest.raises(ModelError, match="processor"):
        voxtral.load_processor(names.find(str(tmp_path)))
    config = json.loads((tiny / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "whisper"}))
    with pytest.raises(ModelError, match="not a Voxtral"):
        names.find(str(tmp_path))


def test_weights_that_are_missing_are_not_drawn_at_random(tmp_path: Path, precision: voxtral.Precision) -> None:
    from safetensors.torch import load_file, save_file

    for file in names.tiny_folder().iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop(next(name for name in weights if "audio_tower.layers.0" in name))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 weights"):
        voxtral.load_base(names.find(str(tmp_path)), precision)
