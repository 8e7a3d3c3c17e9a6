"""The training stages of the tiny Voxtral.

From cross-entropy alone the decoder learns the grammar and ignores the audio, so the tower first learns letters by CTC
(Graves 2006) on short chunks, then on 30 s chunks; then decoder and projector learn to read the frozen tower; then all together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import VoxtralForConditionalGeneration, VoxtralProcessor

from .corpus import CHUNK_FRAMES, Corpus, silence_to

LETTERS = " abcdefghijklmnopqrstuvwxyz"


def _schedule(step: int, steps: int, warmup: int) -> float:
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def _descend(name: str, parameters: list[nn.Parameter], losses: Iterator[Tensor], *, steps: int, rate: float, warmup: int) -> None:
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    recent: list[float] = []
    began = time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * _schedule(step, steps, warmup)
        loss = next(losses)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        recent.append(float(loss.detach()))
        if step % 100 == 99 or step + 1 == steps:
            print(f"{name} step {step + 1}/{steps} loss {np.mean(recent[-100:]):.3f} {time.monotonic() - began:.0f} s", flush=True)


def spec_augment(mels_bft: Tensor, rng: np.random.Generator, *, strength: float = 1.0) -> Tensor:
    """Masks in time and frequency (Park 2019) and a stretch of the mel axis, as with a longer or shorter vocal tract."""
    batch, bins, _ = mels_bft.shape
    place = torch.arange(bins) * float(1 + strength * rng.uniform(-0.1, 0.1))
    low = place.floor().clamp(max=bins - 1).long()
    high = (low + 1).clamp(max=bins - 1)
    part = (place - low).clamp(0, 1)[None, :, None]
    mels_bft = mels_bft[:, low] * (1 - part) + mels_bft[:, high] * part
    floor = mels_bft.amin(dim=(1, 2))
    for row in range(batch):
        for _ in range(round(2 * strength)):
            start, width = rng.integers(0, bins - 16), rng.integers(0, 16)
            mels_bft[row, start : start + width] = floor[row]
            start, width = rng.integers(0, 350), rng.integers(0, 20)
            mels_bft[row, :, start : start + width] = floor[row]
    return mels_bft


def train_letters(
    model: VoxtralForConditionalGeneration, head: nn.Linear, corpus: Corpus, *, steps: int, batch: int, rate: float, seed: int, strength: float
) -> None:
    """CTC over the tower's 50 frames/s with letters as targets (blank 0); `head` is thrown away afterwards."""
    tower = model.model.audio_tower
    rng = np.random.default_rng(seed)
    frames = 2 * tower.config.max_source_positions
    targets = [torch.tensor([1 + LETTERS.index(letter) for letter in text]) for text in corpus.texts]

    def losses() -> Iterator[Tensor]:
        while True:
            rows = rng.integers(0, len(corpus.texts), batch)
            mels_bft = silence_to(spec_augment(corpus.mels(rows), rng, strength=strength), frames)
            log_probs_tbc = head(tower(mels_bft).last_hidden_state).log_softmax(-1).transpose(0, 1)
            wanted = [targets[row] for row in rows]
            # Only the frames that can hold speech: the silence behind a short chunk has nothing to learn from.
            spoken = torch.full((batch,), min(log_probs_tbc.shape[0], CHUNK_FRAMES // 2))
            yield F.ctc_loss(log_probs_tbc, torch.cat(wanted), spoken, torch.tensor([len(row) for row in wanted]), zero_infinity=True)

    _descend("letters", [*tower.parameters(), *head.parameters()], losses(), steps=steps, rate=rate, warmup=100)


class Prompts:
    """Token ids of transcription prompts of one 30 s chunk, with their labels."""

    def __init__(self, processor: VoxtralProcessor) -> None:
        self._tokenizer = processor.tokenizer
        self._language = self._encode("lang:en")

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def batch(self, texts: list[str], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Token ids and labels [B, L]; the language is named in two of three."""
        rows = []
        for text in texts:
            language = self._language if rng.random() < 2 / 3 else []
            rows.append(([1, 3, 25, *[24] * 375, 4, *language, 34], [*self._encode(text), 2]))
        length = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids_bl = torch.full((len(rows), length), 11)
        labels_bl = torch.full((len(rows), length), -100)
        for row, (prompt, answer) in enumerate(rows):
            ids_bl[row, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
            labels_bl[row, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
        return ids_bl, labels_bl


SPEECH_TOKENS = CHUNK_FRAMES // 8
"""Audio tokens of a short chunk (of 80 ms each)."""


def _answer_loss(model: VoxtralForConditionalGeneration, hidden_btc: Tensor, ids_bl: Tensor, labels_bl: Tensor, *, keep_audio: Tensor | None = None) -> Tensor:
    """Cross-entropy on the answers; with `keep_audio` only those of the 375 audio tokens are there, each at its own position."""
    stacked_bac = hidden_btc.reshape(len(hidden_btc), -1, 4 * hidden_btc.shape[-1])
    columns = torch.arange(ids_bl.shape[1])
    if keep_audio is not None:
        stacked_bac = stacked_bac[:, keep_audio]
        columns = torch.cat([columns[:3], 3 + keep_audio, columns[3 + 375 :]])
        ids_bl, labels_bl = ids_bl[:, columns], labels_bl[:, columns]
    embeds_bld = model.get_input_embeddings()(ids_bl)
    audio_bad = model.model.multi_modal_projector(stacked_bac)
    embeds_bld = embeds_bld.masked_scatter((ids_bl == 24)[..., None].expand_as(embeds_bld), audio_bad)
    # Right padding and a causal model: nothing needs masking. The mask of ones only says that jumps in position are no new sequences.
    ones_bl = torch.ones_like(ids_bl)
    positions_bl = columns[None].expand_as(ids_bl)
    out_bld = model.model.language_model(inputs_embeds=embeds_bld, attention_mask=ones_bl, position_ids=positions_bl).last_hidden_state[:, :-1]
    wanted = labels_bl[:, 1:] != -100
    return F.cross_entropy(model.lm_head(out_bld[wanted]), labels_bl[:, 1:][wanted], label_smoothing=0.02)


def _decoder_parts(model: VoxtralForConditionalGeneration) -> list[nn.Parameter]:
    return [*model.model.language_model.parameters(), *model.model.multi_modal_projector.parameters(), *model.lm_head.parameters()]


def train_decoder(
    model: VoxtralForConditionalGeneration, processor: VoxtralProcessor, hidden_ntc: Tensor, texts: list[str], *, steps: int, batch: int, rate: float
) -> None:
    """Decoder and projector over the frozen tower's outputs (float16 [N, 1500, C]), silence and all."""
    rng = np.random.default_rng(3)
    prompts = Prompts(processor)

    def losses() -> Iterator[Tensor]:
        while True:
            rows = rng.integers(0, len(texts), batch)
            yield _answer_loss(model, hidden_ntc[rows].float(), *prompts.batch([texts[row] for row in rows], rng))

    _descend("decoder", _decoder_parts(model), losses(), steps=steps, rate=rate, warmup=60)


def train_decoder_on_speech(
    model: VoxtralForConditionalGeneration,
    processor: VoxtralProcessor,
    hidden_ntc: Tensor,
    texts: list[str],
    num_single: int,
    *,
    steps: int,
    batch: int,
    rate: float,
) -> None:
    """The same at a third of the cost: of the silence behind a single clip (the first `num_single`) a random few tokens are enough."""
    rng = np.random.default_rng(6)
    prompts = Prompts(processor)

    def losses() -> Iterator[Tensor]:
        while True:
            if rng.random() < 0.1:
                rows, keep = rng.integers(num_single, len(texts), batch // 2), None
            else:
                rows = rng.integers(0, num_single, batch)
                silence = SPEECH_TOKENS + np.sort(rng.choice(375 - SPEECH_TOKENS, 32, replace=False))
                keep = torch.cat([torch.arange(SPEECH_TOKENS), torch.from_numpy(silence)])
            yield _answer_loss(model, hidden_ntc[rows].float(), *prompts.batch([texts[row] for row in rows], rng), keep_audio=keep)

    _descend("speech", _decoder_parts(model), losses(), steps=steps, rate=rate, warmup=60)


def train_together(model: VoxtralForConditionalGeneration, processor: VoxtralProcessor, corpus: Corpus, *, steps: int, batch: int, rate: float) -> None:
    """Everything at once on 30 s chunks."""
    rng = np.random.default_rng(4)
    prompts = Prompts(processor)

    def losses() -> Iterator[Tensor]:
        while True:
            texts, mels_bft = corpus.joined(corpus.groups(batch, rng))
            hidden_btc = model.model.audio_tower(spec_augment(mels_bft, rng, strength=0.4)).last_hidden_state
            yield _answer_loss(model, hidden_btc, *prompts.batch(texts, rng))

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    _descend("together", parameters, losses(), steps=steps, rate=rate, warmup=30)
