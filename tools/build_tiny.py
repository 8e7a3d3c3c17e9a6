"""Build the shipped tiny Voxtral from nothing: `python tools/build_tiny.py [--output DIR] [--work DIR]`.

Needs Debian's espeak-ng and flite (flite only for the last measurement) and the `train` extra. About an hour on two cores.
Stages already in `--work` are taken from there, so a stopped build goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from transformers import VoxtralForConditionalGeneration, VoxtralProcessor

sys.path.insert(0, str(Path(__file__).parent))
from tiny_voxtral import card, corpus, network, speech, stages
from voxtune.phrases import practice

PACKAGED = Path(__file__).parent.parent / "src" / "voxtune" / "model" / "tiny"


def _wer(model: Any, processor: VoxtralProcessor, texts: list[str], waves: list[speech.Wave]) -> float:
    """WER of greedy transcription through the public interfaces alone."""
    heard: list[str] = []
    for start in range(0, len(waves), 16):
        clips = waves[start : start + 16]
        inputs = processor.apply_transcription_request(clips, model_id="tiny", language="en", sampling_rate=16_000, format=["WAV"] * len(clips))
        with torch.no_grad():
            out = model.generate(**inputs, max_new_tokens=60, do_sample=False)
        heard += processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return float(jiwer.wer(texts, heard))


def measure(model: VoxtralForConditionalGeneration, processor: VoxtralProcessor) -> dict[str, float]:
    """WER on undisturbed espeak-ng speech, commands and loose words, and on each voice of flite."""
    model.eval()
    table = {}
    loose = speech.plan(120, seed=98, draw=speech.draw_loose)
    for name, jobs in (("espeak-ng, unseen commands", speech.plan_unseen(120, seed=99)), ("espeak-ng, loose words", loose)):
        table[name] = _wer(model, processor, [text for text, _ in jobs], speech.speak(jobs))
    sentences = practice.sentences(40, seed=77)
    for voice in ("awb", "slt", "rms", "kal16"):
        table[f"flite {voice}"] = _wer(model, processor, sentences, [speech.flite(text, voice) for text in sentences])
    print("WER", {voice: round(rate, 3) for voice, rate in table.items()}, flush=True)
    return table


@torch.no_grad()
def _hear(model: VoxtralForConditionalGeneration, train: corpus.Corpus, groups: list[list[int]]) -> tuple[list[str], Tensor]:
    """Texts of groups of clips, and the tower's outputs for them, float16 [N, 1500, C]."""
    texts: list[str] = []
    hidden: list[Tensor] = []
    for start in range(0, len(groups), 16):
        some, mels_bft = train.joined(groups[start : start + 16])
        texts += some
        hidden.append(model.model.audio_tower(mels_bft).last_hidden_state.half())
    return texts, torch.cat(hidden)


def _stage(module: nn.Module, done: Path, train: Callable[[], None]) -> None:
    """Train a stage and keep its weights, or take them from where an earlier build kept them."""
    if done.exists():
        load_model(module, done)
    else:
        train()
        save_model(module, str(done))


def main() -> None:
    """Build, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PACKAGED)
    parser.add_argument("--work", type=Path, default=Path("build/tiny"))
    parser.add_argument("--utterances", type=int, default=speech.NUM_UTTERANCES)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network.write_tokenizer(options.work)
    processor = network.processor(options.work)
    model = network.build(positions=1_500)
    final = options.work / "6-together.safetensors"
    if not final.exists():
        _train(options.work, options.utterances, processor, model)
    load_model(model, final)
    table = measure(model, processor)
    model.save_pretrained(options.output)
    processor.save_pretrained(options.output)
    (options.output / "README.md").write_text(card.write(table, sum(parameter.numel() for parameter in model.parameters())))


def _train(work: Path, utterances: int, processor: VoxtralProcessor, model: VoxtralForConditionalGeneration) -> None:
    """All stages; the last one's weights are in `work` at the end."""
    short = network.build(positions=corpus.CHUNK_FRAMES // 2)
    head = nn.Linear(network.WIDTH, 1 + len(stages.LETTERS))
    letters = nn.ModuleDict({"model": short, "head": head})

    # First in hard conditions, so that little is learned by rote, then in mild ones, which are those it will be used in.
    def hard() -> None:
        heard = corpus.make(utterances, seed=1, strengths=(1.0, 1.0))
        stages.train_letters(short, head, heard, steps=2_200, batch=32, rate=2e-3, seed=1, strength=1.0)

    _stage(letters, work / "1-letters.safetensors", hard)
    mild = corpus.make(utterances, seed=2, strengths=(0.0, 0.4))
    print(f"{len(mild.texts)} clips", flush=True)
    _stage(
        letters,
        work / "2-mild.safetensors",
        lambda: stages.train_letters(short, head, mild, steps=2_400, batch=32, rate=1.5e-3, seed=3, strength=0.4),
    )
    network.copy_tower(short, model)
    _stage(
        nn.ModuleDict({"model": model, "head": head}),
        work / "3-long.safetensors",
        lambda: stages.train_letters(model, head, mild, steps=100, batch=16, rate=4e-4, seed=2, strength=0.4),
    )

    def decoder() -> None:
        texts, hidden_ntc = _hear(model, mild, mild.groups(6_000, np.random.default_rng(5)))
        stages.train_decoder(model, processor, hidden_ntc, texts, steps=1_000, batch=32, rate=1.5e-3)

    _stage(model, work / "4-decoder.safetensors", decoder)

    def speech_only() -> None:
        rng = np.random.default_rng(7)
        groups = mild.groups(5_000, rng, single=1.0) + mild.groups(500, rng, single=0.0)
        texts, hidden_ntc = _hear(model, mild, groups)
        stages.train_decoder_on_speech(model, processor, hidden_ntc, texts, 5_000, steps=2_400, batch=32, rate=1.5e-3)

    _stage(model, work / "5-speech.safetensors", speech_only)
    _stage(model, work / "6-together.safetensors", lambda: stages.train_together(model, processor, mild, steps=250, batch=16, rate=5e-4))


if __name__ == "__main__":
    main()
