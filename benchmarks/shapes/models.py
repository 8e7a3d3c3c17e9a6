"""Voxtrals of random weights, and clips for them: what a step costs goes by sizes, not by values."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import VoxtralConfig, VoxtralForConditionalGeneration

from voxtune.model import names, voxtral
from voxtune.model.batches import Encoder, Example
from voxtune.model.mel import CHUNK_MEL_FRAMES
from voxtune.model.tower import AudioPath
from voxtune.model.voxtral import Precision

LABELS = (20, 30)
"""Tokens of a transcript, at least and at most: a clip of some 4 to 8 s."""
_AUDIO_S = 5.0


def encoder() -> Encoder:
    """The tiny model's: its prompts are laid out as Voxtral's are, token for token."""
    return Encoder(voxtral.load_processor(names.find(names.TINY)))


def sizes(model_shape: str) -> Any:
    """Of `tiny` or of `3b`, mistralai/Voxtral-Mini-3B-2507."""
    if model_shape == "tiny":
        return VoxtralConfig.from_pretrained(str(names.tiny_folder()))
    audio: Any = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120, "num_mel_bins": 128}
    heads: Any = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    text: Any = {"model_type": "llama", "hidden_size": 3072, "num_hidden_layers": 30, "intermediate_size": 8192, "vocab_size": 131_072, **heads}
    return VoxtralConfig(audio_config=audio, text_config=text, audio_token_id=24)


def base(config: Any, precision: Precision) -> Any:
    """A model as it is before it is prepared for training, made where it is to be."""
    torch.manual_seed(0)
    torch.set_default_dtype(precision.frozen)
    try:
        with torch.device(precision.device):
            model: Any = VoxtralForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.model.audio_tower.embed_positions.float()  # as from_pretrained leaves it
    return model.eval()


def clips(encoder: Encoder, config: Any, count: int) -> list[Example]:
    """Clips of one chunk, with their mel."""
    draw = random.Random(0)
    found = []
    for number in range(count):
        answer = [*(draw.randrange(config.audio_token_id + 1, config.text_config.vocab_size) for _ in range(draw.randint(*LABELS) - 1)), encoder.end_id]
        mel = torch.randn(1, config.audio_config.num_mel_bins, CHUNK_MEL_FRAMES, generator=torch.Generator().manual_seed(number))
        found.append(encoder.around(mel, language="en", answer=answer, duration_s=_AUDIO_S, number=number))
    return found


def heard(examples: Sequence[Example], path: AudioPath) -> list[Example]:
    """The clips with what the frozen part gives in place of their mel, as PreparedClips keeps it."""
    outputs = path.outputs(torch.cat([example.features for example in examples])).split(1)
    return [replace(example, sound=output.clone()) for example, output in zip(examples, outputs, strict=True)]
