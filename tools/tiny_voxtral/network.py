"""The tiny Voxtral's shape, its tokenizer and its processor, in the files that stock transformers and mistral-common read."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import VoxtralConfig, VoxtralForConditionalGeneration, VoxtralProcessor, WhisperFeatureExtractor
from transformers.tokenization_mistral_common import MistralCommonBackend

from . import speech

# The ranks of Voxtral's own tekken.json, so that prompts are token for token alike.
CONTROL_TOKENS = {0: "<unk>", 1: "<s>", 2: "</s>", 3: "[INST]", 4: "[/INST]", 11: "<pad>", 17: "[SYSTEM_PROMPT]", 18: "[/SYSTEM_PROMPT]"}
CONTROL_TOKENS |= {5: "[AVAILABLE_TOOLS]", 6: "[/AVAILABLE_TOOLS]", 7: "[TOOL_RESULTS]", 8: "[/TOOL_RESULTS]", 9: "[TOOL_CALLS]", 19: "[TOOL_CONTENT]"}
CONTROL_TOKENS |= {10: "[IMG]", 12: "[IMG_BREAK]", 13: "[IMG_END]", 14: "[PREFIX]", 15: "[MIDDLE]", 16: "[SUFFIX]"}
CONTROL_TOKENS |= {24: "[AUDIO]", 25: "[BEGIN_AUDIO]", 34: "[TRANSCRIBE]"}
NUM_CONTROL, NUM_VOCAB = 40, 512
WIDTH, TOWER_LAYERS, DECODER_LAYERS, HEADS = 128, 3, 3, 4
SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def write_tokenizer(folder: Path) -> None:
    """Learn byte-pair merges on the practice grammar and write them as tekken.json (the format of mistral-common)."""
    rng = random.Random(1)
    trainer = trainers.BpeTrainer(vocab_size=NUM_VOCAB, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.train_from_iterator((speech.draw_text(rng) for _ in range(20_000)), trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    pieces = [bytes([byte]) for byte in range(256)] + [_as_bytes(left + right) for left, right in merges]
    vocab = [{"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": _as_text(piece)} for rank, piece in enumerate(pieces)]
    assert len(vocab) == NUM_VOCAB, f"the grammar gave {len(vocab)} pieces"
    special = [{"rank": rank, "token_str": CONTROL_TOKENS.get(rank, f"<SPECIAL_{rank}>"), "is_control": True} for rank in range(NUM_CONTROL)]
    config = {"pattern": SPLIT, "num_vocab_tokens": NUM_VOCAB, "default_vocab_size": NUM_VOCAB + NUM_CONTROL}
    config |= {"default_num_special_tokens": NUM_CONTROL, "version": "v7"}
    encoding = {"num_mel_bins": 128, "hop_length": 160, "window_size": 400}
    audio = {"sampling_rate": 16000, "frame_rate": 12.5, "chunk_length_s": 30.0, "audio_encoding_config": encoding}
    folder.mkdir(parents=True, exist_ok=True)
    tekken = {"config": config, "vocab": vocab, "special_tokens": special, "audio": audio}
    (folder / "tekken.json").write_text(json.dumps(tekken, ensure_ascii=True, indent=0) + "\n")


def _as_bytes(piece: str) -> bytes:
    # GPT-2's printable stand-ins for bytes, in the order that `ByteLevel.alphabet` uses.
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    table = {chr(byte): byte for byte in kept} | {chr(256 + place): byte for place, byte in enumerate(moved)}
    return bytes(table[character] for character in piece)


def _as_text(piece: bytes) -> str | None:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return None


def processor(folder: Path) -> VoxtralProcessor:
    """The stock processor over the tokenizer in `folder`."""
    return VoxtralProcessor(WhisperFeatureExtractor(feature_size=128), MistralCommonBackend.from_pretrained(folder))


def config(*, positions: int) -> VoxtralConfig:
    """The tiny network's configuration, with a tower of `positions` encoder frames of 20 ms (1,500 = 30 s as shipped)."""
    tower: dict[str, Any] = {"model_type": "voxtral_encoder", "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "vocab_size": NUM_VOCAB}
    tower |= {"num_hidden_layers": TOWER_LAYERS, "num_attention_heads": HEADS, "max_source_positions": positions}
    text: dict[str, Any] = {"model_type": "llama", "vocab_size": NUM_VOCAB + NUM_CONTROL, "hidden_size": WIDTH, "intermediate_size": 3 * WIDTH}
    text |= {"num_hidden_layers": DECODER_LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS // 2}
    text |= {"head_dim": WIDTH // HEADS, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 11, "max_position_embeddings": 8192}
    text |= {"rope_theta": 10_000.0}
    # 0.02 suits a width of thousands; at 128 the signal would start far below the positions and CTC would stall.
    tower["initializer_range"] = text["initializer_range"] = 0.06
    return VoxtralConfig(audio_config=tower, text_config=text, audio_token_id=24)


def build(*, positions: int) -> VoxtralForConditionalGeneration:
    """A fresh tiny Voxtral with sinusoidal positions (Whisper, arXiv:2212.04356)."""
    model = VoxtralForConditionalGeneration(config(positions=positions))
    model.generation_config.bos_token_id, model.generation_config.eos_token_id, model.generation_config.pad_token_id = 1, 2, 11
    steps = torch.exp(-torch.arange(WIDTH // 2) * (torch.log(torch.tensor(10_000.0)) / (WIDTH // 2 - 1)))
    angles = torch.arange(positions)[:, None] * steps[None]
    model.model.audio_tower.embed_positions.weight.data.copy_(0.3 * torch.cat([angles.sin(), angles.cos()], dim=1))
    return model


def copy_tower(source: VoxtralForConditionalGeneration, target: VoxtralForConditionalGeneration) -> None:
    """Give `target` the tower of `source`, which may have another number of positions."""
    weights = source.model.audio_tower.state_dict()
    weights["embed_positions.weight"] = target.model.audio_tower.state_dict()["embed_positions.weight"]
    target.model.audio_tower.load_state_dict(weights)
