"""The one module that knows where transformers keeps Voxtral's parts: load, adapt, freeze, count, save.

Since transformers 5.10 the parts are `model.audio_tower`, `model.multi_modal_projector` and `model.language_model` inside
VoxtralForConditionalGeneration; `part_of` reads the part from a parameter's name, wherever PEFT or transformers nest it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoProcessor, BitsAndBytesConfig, PretrainedConfig, VoxtralForConditionalGeneration, VoxtralProcessor

from voxtune.errors import MissingDependencyError, ModelError, SettingsError
from voxtune.model import dropout
from voxtune.model.loading_errors import config_file, explain, first_line
from voxtune.model.names import ModelPlace
from voxtune.settings import PARTS, TrainSettings

# Full paths: short names such as q_proj are in the tower as well, and a tower meant to be frozen would train.
_LORA_TARGETS = {
    "language_model": r".*language_model\.layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)",
    "projector": r".*multi_modal_projector\.linear_[12]",
    "audio_tower": r".*audio_tower\.layers\.(?:LAYERS)\.(?:self_attn\.(?:q|k|v|out)_proj|fc[12])",
}
_WIDTH_3B = 3_072
# What transformers, peft and safetensors raise for files that are missing, damaged or of something else.
_LOADING = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The types in which a model runs and trains; decided in one place."""

    device: str
    autocast: bool
    """bf16 autocast over fp32 trained weights."""
    frozen: torch.dtype
    """Type of the weights that do not train."""


def choose_precision(wanted: str) -> Precision:
    """bf16 where a GPU has it, else fp32; `wanted` is auto, fp32 or bf16. Raises SettingsError for bf16 on a GPU without it."""
    if torch.cuda.is_available():
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        if wanted == "bf16" and not able:
            raise SettingsError("precision bf16 needs an NVIDIA GPU of the Ampere generation (2020) or later.", hint="Use --precision fp32.")
        autocast = able and wanted != "fp32"
        return Precision(device="cuda", autocast=autocast, frozen=torch.bfloat16 if autocast else torch.float32)
    # Without a GPU bf16 is slower than fp32, and Apple's MPS autocast lacks parts of it: asked for, it is done on the CPU.
    return Precision(device="cpu", autocast=wanted == "bf16", frozen=torch.float32)


def part_of(parameter_name: str) -> str:
    """Which of settings.PARTS a parameter belongs to, by its full name. `lm_head` counts as language model."""
    if "audio_tower." in parameter_name:
        return "audio_tower"
    return "projector" if "multi_modal_projector." in parameter_name else "language_model"


def load_processor(place: ModelPlace) -> VoxtralProcessor:
    """The model's stock processor. Raises ModelError where there is none."""
    config_file(place)  # refuses at once where the model is not to be had
    try:
        processor = AutoProcessor.from_pretrained(place.source, **place.pin)
    except _LOADING as error:
        raise explain(place, "processor", error) from None
    if not isinstance(processor, VoxtralProcessor):
        raise ModelError(f"{place.name} has a {type(processor).__name__}, not Voxtral's processor.", hint="Copy tekken.json and the processor files too.")
    return processor


def load(place: ModelPlace, precision: Precision, *, in_4bit: bool = False, with_adapter: bool = True) -> VoxtralForConditionalGeneration | PeftModel:
    """The model, with its adapter if it has one, in evaluation mode on its device. Raises ModelError."""
    model = load_base(place, precision, in_4bit=in_4bit)
    if place.adapter is None or not with_adapter:
        return model
    return load_adapter(model, place.adapter)


def load_base(place: ModelPlace, precision: Precision, *, in_4bit: bool = False) -> VoxtralForConditionalGeneration:
    """The weights at `place.source` alone, in evaluation mode on their device. Raises ModelError or MissingDependencyError."""
    quantization = four_bit() if in_4bit else None
    try:
        # strict: weights that are missing or of another shape would be drawn at random and pass unnoticed.
        loaded: Any = VoxtralForConditionalGeneration.from_pretrained(
            place.source, **place.pin, dtype=precision.frozen, quantization_config=quantization, output_loading_info=True
        )
        model: VoxtralForConditionalGeneration = loaded[0]
        info: dict[str, Any] = loaded[1]
    except _LOADING as error:
        raise explain(place, "weights", error) from None
    if absent := sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"]):
        raise ModelError(f"{place.name} lacks {len(absent)} weights, {absent[0]} among them.", hint="Copy or download it again, whole.")
    if quantization is None:
        nn.Module.to(model, torch.device(precision.device))
    model.eval()
    return model


def load_adapter(model: VoxtralForConditionalGeneration, folder: Path) -> PeftModel:
    """`model` with the adapter in `folder` on it. Raises ModelError."""
    try:
        return PeftModel.from_pretrained(model, str(folder)).eval()
    except _LOADING as error:
        raise ModelError(f"the adapter in {folder} does not fit its base model: {first_line(error)}", hint="Train again on this base model.") from None


def four_bit() -> BitsAndBytesConfig:
    """How frozen weights are kept in 4 bits. Raises SettingsError without a GPU, MissingDependencyError without bitsandbytes."""
    assure_bitsandbytes("load_in_4bit")
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16)


def assure_bitsandbytes(setting: str) -> None:
    """Raise SettingsError without a GPU, MissingDependencyError without bitsandbytes, for a `setting` that needs both."""
    if not torch.cuda.is_available():
        raise SettingsError(f"{setting} needs an NVIDIA GPU; there is none here.", hint="Leave it out, or train where there is a GPU.")
    try:
        import bitsandbytes  # type: ignore[import-not-found, unused-ignore]  # noqa: F401 - optional, and only whether it is there
    except ImportError:
        raise MissingDependencyError(f"{setting} needs bitsandbytes.", hint="pip install bitsandbytes") from None


def prepare_training(
    model: VoxtralForConditionalGeneration, settings: TrainSettings, *, revision: str | None = None
) -> VoxtralForConditionalGeneration | PeftModel:
    """Freeze and adapt `model` as the settings say; what trains is fp32, what does not has no gradient.

    An adapter's config names the base's commit, `revision`.
    """
    layers = num_tower_layers(model)
    if settings.train_tower_layers > layers:
        message = f"train_tower_layers = {settings.train_tower_layers}: the audio tower has {layers} layers."
        raise SettingsError(message, hint="Use a smaller number, or 0 for all.")
    if settings.gradient_checkpointing:
        model.config.use_cache = False
    prepared = _with_lora(model, settings, revision) if settings.method == "lora" else _unfreeze(model, settings)
    for parameter in prepared.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    found = trainable_parameters(prepared)
    wrong = [part for part in PARTS if bool(found[part]) != (part in settings.trained_parts)]
    assert not wrong, f"{wrong} should train exactly where the settings say so: {found}"
    return prepared


def _with_lora(model: VoxtralForConditionalGeneration, settings: TrainSettings, revision: str | None) -> PeftModel:
    # Not by PEFT's prepare_model_for_kbit_training: it makes fp32 of all that is not in 4 bits, embeddings and lm_head too, 1.6 GB more for the 3B.
    layers = "|".join(str(layer) for layer in _trained_layers(model, settings))
    targets = [pattern.replace("LAYERS", layers) for part, pattern in _LORA_TARGETS.items() if part in settings.trained_parts]
    config = LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]  # declared int, used as a number
        lora_dropout=settings.lora_dropout,
        target_modules="|".join(targets),
        bias="none",
        revision=revision,
    )
    adapted = get_peft_model(model, config)
    dropout.install(adapted)
    return adapted


def _unfreeze(model: VoxtralForConditionalGeneration, settings: TrainSettings) -> VoxtralForConditionalGeneration:
    layers = _trained_layers(model, settings)
    for name, parameter in model.named_parameters():
        part = part_of(name)
        layer = re.search(r"audio_tower\.layers\.(\d+)\.", name)
        # The tower's sinusoidal positions are constants (Whisper, arXiv:2212.04356); below its top k layers its convolutions are frozen too.
        below = part == "audio_tower" and bool(settings.train_tower_layers) and (layer is None or int(layer.group(1)) not in layers)
        parameter.requires_grad_(part in settings.trained_parts and "embed_positions" not in name and not below)
    return model


def _trained_layers(model: VoxtralForConditionalGeneration, settings: TrainSettings) -> range:
    num_layers = num_tower_layers(model)
    return range(num_layers - settings.train_tower_layers if settings.train_tower_layers else 0, num_layers)


def inner(model: nn.Module) -> Any:
    """The VoxtralModel inside: audio_tower, multi_modal_projector and language_model."""
    whole: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    return whole.model


def lm_head(model: nn.Module) -> nn.Linear:
    """The layer that makes logits."""
    whole: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    head: nn.Linear = whole.lm_head
    return head


def num_tower_layers(model: VoxtralForConditionalGeneration | PeftModel) -> int:
    """Layers of the audio tower."""
    return len(inner(model).audio_tower.layers)


def trainable_parameters(model: nn.Module) -> dict[str, int]:
    """Numbers that train, in each of settings.PARTS."""
    found = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[part_of(name)] += parameter.numel()
    return found


def default_learning_rate(model: nn.Module, method: str) -> float:
    """2e-4 for LoRA and 1e-5 for full on the 3B (what people report), more on a narrower model, as the rate that suits goes by 1/width.

    Source: Yang et al. 2022, arXiv:2203.03466. At most 10 times for LoRA; the tiny model's full rate was measured (docs/training-pipeline.md).
    """
    width = int(model.config.text_config.hidden_size)  # type: ignore[union-attr, arg-type]  # nn.Module types every attribute as Tensor | Module
    wider = max(1.0, _WIDTH_3B / width)
    return 2e-4 * min(10.0, wider) if method == "lora" else 1e-5 * min(50.0, wider)


def save(model: VoxtralForConditionalGeneration | PeftModel, processor: VoxtralProcessor, folder: Path) -> None:
    """Write the adapter, or all weights, and the processor as stock peft and transformers load them."""
    model.save_pretrained(str(folder))
    processor.save_pretrained(str(folder))
    # An adapter's folder too: from its model_type AutoProcessor knows which tokenizer reads tekken.json.
    config: PretrainedConfig = model.config
    config.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty form of a card; the card is made from the run's records


def load_trained(model: VoxtralForConditionalGeneration | PeftModel, checkpoint: Path) -> None:
    """Put a checkpoint's weights into the model that is training. Raises ModelError if they do not fit."""
    wrong: list[str]
    if isinstance(model, PeftModel):
        found: Any = set_peft_model_state_dict(model, load_file(checkpoint / "adapter_model.safetensors"))
        wrong = [*found.unexpected_keys, *(key for key in found.missing_keys if "lora_" in key)]
    else:
        # By from_pretrained: files name weights otherwise than the module does, and it knows how.
        place = ModelPlace(name=str(checkpoint), source=str(checkpoint))
        saved = load_base(place, Precision(device="cpu", autocast=False, frozen=torch.float32))
        kept = model.load_state_dict(saved.state_dict(), strict=False)
        wrong = [*kept.unexpected_keys, *kept.missing_keys]
    if wrong:
        raise ModelError(f"{checkpoint} does not fit the model: {len(wrong)} weights, {wrong[0]} among them.", hint="Start a new run.")
