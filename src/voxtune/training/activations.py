"""What the numbers of a training run take while it goes: of each layer what autograd keeps, and when that is most.

Counted as transformers 5.23, peft 0.21 and torch 2.13 were seen to keep it: a linear layer its input if its own weight or adapter trains, all
else its input if anything below has a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from voxtune.audio import CHUNK_S
from voxtune.settings import TrainSettings
from voxtune.training.shape import CHUNK_FRAMES, Linear, Shape

_TOGETHER = 4  # chunks that go through the frozen part of the tower at once: model/tower.py
_VARIANTS = 4  # of each clip where it is altered and kept: model/prepared.py
CLIP_TOKENS = 448
"""That `batch_size` clips may have each: training/steps.py."""
_AUDIO_TOKENS, _PROMPT_TOKENS = 375, 10  # of a chunk of 30 s; the last of control tokens and language around the audio
_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)  # with double quantisation: Dettmers et al. 2023, arXiv:2305.14314


class Stage(NamedTuple):
    """A piece of the model, in forward order: bytes kept for its backward pass, bytes more while that runs, numbers that train."""

    part: str
    kept: float
    work: float = 0
    trained: int = 0
    largest: int = 0
    logits: float = 0


class _Layer(NamedTuple):
    """What a layer is made of, in bytes a token: norms before and within, attention and activations, and what checkpointing keeps of it."""

    part: str
    groups: list[list[Linear]]
    tokens: int
    n: int  # bytes of a number that its norm gives
    norms: tuple[int, int]
    inner: int
    taken: int = 0
    scales: int = 0  # numbers of its norms' own weights


class Batch(NamedTuple):
    """Clips that go through the model together: how many, chunks of 30 s of each, tokens of the longest transcript among them."""

    clips: int
    chunks: int
    text_tokens: int

    @property
    def length(self) -> int:
        """Tokens of one clip."""
        return self.chunks * _AUDIO_TOKENS + _PROMPT_TOKENS + self.text_tokens + 1


_LEAST = Batch(1, 1, 0)


def batches(settings: TrainSettings, *, audio_s: float, text_tokens: int) -> list[Batch]:
    """The largest forward passes of training where the longest clip and the longest transcript are such (training/steps.py)."""
    longest, tokens = max(1, math.ceil(audio_s / CHUNK_S)), settings.batch_size * CLIP_TOKENS
    found = [Batch(settings.batch_size, 1, min(text_tokens, CLIP_TOKENS - _LEAST.length))]
    for chunks in {1, longest}:
        length = Batch(1, chunks, text_tokens).length
        found.append(Batch(max(1, min(settings.batch_size, tokens // length)), chunks, text_tokens))
    return list(dict.fromkeys(found))


class Numbers:
    """What the numbers of one run take, if its batches are all alike."""

    def __init__(self, shape: Shape, settings: TrainSettings, batch: Batch = _LEAST, *, cuda: bool = False, autocast: bool = False) -> None:
        self.shape, self.settings, self.batch, self.cuda, self.autocast = shape, settings, batch, cuda, autocast
        self.tokens, self.frames = batch.clips * batch.length, batch.clips * batch.chunks * CHUNK_FRAMES
        self.columns = batch.clips * (batch.text_tokens + 1)  # tokens whose next one is a label
        self.c, self.frozen = 2 if autocast else 4, 2 if cuda and autocast else 4  # bytes of a number in computation, of a frozen weight
        self.full = settings.method == "full"
        self.lm_n = 4 if self.full else self.frozen  # of one between the language model's layers
        trains, top = "audio_tower" in settings.trained_parts, settings.train_tower_layers
        # As in voxtune.model.tower: how far up nothing trains, so that it is run by itself, without gradients.
        self.begun = shape.tower_layers - (top or shape.tower_layers) * trains
        self.projected = not trains and "projector" not in settings.trained_parts

    def stages(self) -> Iterator[Stage]:
        """The embeddings and the batch itself, convolutions, tower, projector, language model, lm_head and loss."""
        shape, settings, trained = self.shape, self.settings, self.settings.trained_parts
        embedding = shape.vocab * shape.lm_width * (self.full and "language_model" in trained)
        passes = 1 if self.cuda else settings.gradient_accumulation_steps  # in RAM all batches of a step wait together
        yield Stage("language_model", passes * self.frames * self.frame_bytes, 0, embedding, embedding)
        needs = False
        if not self.begun:
            yield (front := self._front())
            # With checkpointing transformers lets gradients flow from the embeddings and the first convolution up, frozen or not.
            needs = settings.gradient_checkpointing or front.trained > 0
        tower, projector, language, last = self._layers()
        for _ in range(self.begun, shape.tower_layers):
            yield self._layer(tower, trains := "audio_tower" in trained, needs)
            needs |= trains
        if not self.projected:
            yield self._layer(projector, "projector" in trained, needs)
        needs |= "projector" in trained or self.full or settings.gradient_checkpointing
        for layer in range(shape.lm_layers):
            for piece in last if layer == shape.lm_layers - 1 else [language]:
                yield self._layer(piece, "language_model" in trained, needs or layer > 0)
        yield from self._head(embedding)

    def kept(self, audio_s: float, chunks: int) -> float:
        """Bytes of what is kept in RAM of clips of so many seconds and chunks of 30 s: outputs of the frozen part, else log-mel of their sound."""
        mel, waves = audio_s * 100 * 4 * self.shape.mel_bins, audio_s * 16_000 * 4 * (self.settings.augment != "off")
        if self.begun and self.settings.tower_cache:
            return chunks * CHUNK_FRAMES * self.frame_bytes * (1 if self.settings.augment == "off" else _VARIANTS) + waves
        return mel * (self.settings.augment == "off") + waves

    @property
    def frame_bytes(self) -> float:
        """What the model is given for a frame of sound: two columns of log-mel, or a frame of the tower, or a quarter of an embedding."""
        if not self.begun:
            return 2 * self.shape.mel_bins * 4
        return self.shape.lm_width / 4 * self.c if self.projected else self.shape.tower_width * self.c

    def _layers(self) -> tuple[_Layer, _Layer, _Layer, list[_Layer]]:
        """A layer of the tower, the projector, a layer of the language model, and its last one, in pieces."""
        shape, c, d, h = self.shape, self.c, self.shape.tower_width, self.shape.lm_width
        tower, projector, language = shape.linears()
        n = 2 if self.autocast and not self.cuda else 4  # CUDA's autocast runs layer_norm in fp32
        queries, keys = shape.lm_heads * shape.lm_head_dim, shape.lm_kv_heads * shape.lm_head_dim
        attention = c * (2 * queries + 2 * keys) + 4 * shape.lm_heads  # without a mask, keys and values are not repeated for every head
        norm, inner = h * (4 + self.lm_n * self.full) + 4, c * (4 * d + shape.tower_ffn) + 4 * shape.tower_heads
        whole = _Layer("language_model", language, self.tokens, self.lm_n, (norm, norm), attention + 3 * c * shape.lm_ffn, self.lm_n * h, 2 * h)
        # The last layer makes keys and values of every token, and the rest of those that answer (model/last_layer.py), unless it is checkpointed.
        (query, *others), *after = language
        scores = c * shape.lm_heads * self.batch.length
        answer = c * (2 * queries + 3 * shape.lm_ffn) + 4 * shape.lm_heads + scores
        pieces = [
            _Layer("language_model", [others], self.tokens, self.lm_n, (norm, 0), c * 2 * keys, 0, h),
            _Layer("language_model", [[query], *after], self.columns, self.lm_n, (0, norm), answer, 0, h),
        ]
        return (
            _Layer("audio_tower", tower, self.frames, n, (n * d + 8, n * d + 8), inner, d * c, 4 * d),
            _Layer("projector", projector, self.frames // 4, n, (n * shape.tower_ffn + 32, 0), c * h),  # the norm is the tower's, of four frames
            whole,
            [whole] if self.settings.gradient_checkpointing else pieces,
        )

    def _front(self) -> Stage:
        wide, settings = self.frames * self.shape.tower_width * self.c, self.settings
        trains = self.full and "audio_tower" in settings.trained_parts and not settings.train_tower_layers
        if not trains and not settings.gradient_checkpointing:
            return Stage("audio_tower", 0, 4 * wide)
        numbers, bf16 = self.shape.front() * trains, (self.frames * 4 * self.shape.mel_bins + 2 * self.shape.front()) * self.autocast
        return Stage("audio_tower", (5 if trains else 3) * wide + bf16, 3 * wide, numbers, numbers)

    def _head(self, trained: int) -> Iterator[Stage]:
        """The last norm; lm_head where there are labels; their loss in fp32: log-probabilities, their gradient and that of the logits."""
        width, columns, trains = self.shape.lm_width, self.columns, trained > 0
        rows = self.tokens if self.settings.gradient_checkpointing else columns
        numbers, copied = columns * self.shape.vocab, self.autocast and (trains or self.lm_n == 4)
        kept = rows * width * (4 + self.lm_n * trains) + columns * width * self.c * trains + 2 * copied * self.shape.vocab * width
        yield Stage("language_model", kept, 0, trained + width * trains, trained, numbers * (4 + 2 * self.autocast))
        yield Stage("language_model", 0, logits=12 * numbers)

    def _linears(self, linears: Sequence[Linear], trains: bool, needs: bool, *, cast: bool, held: bool) -> tuple[float, float]:
        """(bytes a token, bytes once) that linear layers keep of one input, which `needs` a gradient, is `cast` to bf16, is `held` by others anyway."""
        settings, c, count = self.settings, self.c, len(linears)
        # Autocast keeps the bf16 copies of fp32 weights through which a gradient flows.
        copied = self.autocast and needs and ((self.full and trains) or self.frozen == 4)
        once = 2 * copied * sum(each.wide * each.out for each in linears)
        if not trains:
            return 0, once
        if self.full:
            return linears[0].wide * c * (count if cast else 1 - held), once
        dropout = settings.lora_dropout > 0  # keeps booleans on CUDA, fp32 factors on the CPU
        inputs = linears[0].wide * (c * (count if dropout or self.autocast else 1 - held) + (1 if self.cuda else 4) * count * (dropout and needs))
        return inputs + c * settings.lora_r * count, once + 2 * self.autocast * sum(settings.lora_r * (each.wide + each.out) for each in linears)

    def _layer(self, layer: _Layer, trains: bool, needs: bool) -> Stage:
        full, live, cast = self.full and trains, needs or trains, layer.n != self.c
        held = layer.part == "language_model"  # there attention keeps what o takes in; in the tower transformers copies it
        found = [self._linears(group, trains, live if i else needs, cast=cast and i % 2 == 0, held=held and i == 1) for i, group in enumerate(layer.groups)]
        token = layer.norms[0] * (needs or (full and layer.scales > 0)) + (layer.norms[1] + layer.inner) * live + sum(each for each, _ in found)
        kept = layer.tokens * token + sum(once for _, once in found)
        every = [each for group in layer.groups for each in group]
        sizes = [(each.wide * each.out + each.bias if full else self.settings.lora_r * (each.wide + each.out)) * trains for each in every]
        ffn, wide = every[-1].wide, every[-1].out
        work = layer.tokens * self.c * ((1 if full else 2) * ffn + (2 if live else 3) * wide)  # of the backward pass; with nothing kept, of the forward
        if trains and not full and self.autocast:
            work = layer.tokens * (10 * ffn + 6 * wide)  # peft raises an adapter's input to fp32
        if self.settings.gradient_checkpointing and layer.taken:
            kept, work = layer.tokens * layer.taken, kept + work  # all the rest is made again
        return Stage(layer.part, kept, work, sum(sizes) + layer.scales * full, max(sizes))

    def moments(self, stages: Sequence[Stage]) -> Iterator[tuple[float, float, float]]:
        """Bytes of gradients, activations and logits at each time that could be the highest: backward from the last stage, then in a validation."""
        accumulates = self.settings.gradient_accumulation_steps > 1 or self.batch != Batch(self.settings.batch_size, 1, self.batch.text_tokens)
        gradients, kept = 4.0 * accumulates * sum(stage.trained for stage in stages), sum(stage.kept for stage in stages)
        for stage in reversed(stages):  # accumulated gradients are there throughout, and a new one is made apart and added
            yield gradients, kept + stage.work, stage.logits
            gradients, kept = gradients + 4 * stage.trained * (not accumulates), kept - stage.kept
            yield gradients + stage.largest * (4 * accumulates + 2 * self.autocast), kept, stage.logits * (stage.largest > 0)
        yield from self._without_gradients()

    def _without_gradients(self) -> Iterator[tuple[float, float, float]]:
        """The frozen part of the tower, run by itself; then a validation: the tower, its loss, its generation."""
        shape, settings, c, length = self.shape, self.settings, self.c, self.batch.length
        d, ffn, h, mel = shape.tower_width, shape.tower_ffn, shape.lm_width, 8 * shape.mel_bins
        clips = settings.eval_batch_size
        validated = clips * self.batch.chunks * CHUNK_FRAMES
        if self.begun:
            frames = max(settings.batch_size * settings.gradient_accumulation_steps * self.batch.chunks * CHUNK_FRAMES, validated)  # of a whole step
            together = min(frames, _TOGETHER * CHUNK_FRAMES)
            yield 0, together * (c * (2 * ffn + 2 * d) + mel * self.cuda) + frames * (mel + self.frame_bytes) * (not self.cuda), 0
        if not self.projected:
            wide = 10 * ffn + 2 * d if self.autocast and not self.full else c * ((2 if self.full else 3) * ffn + 4 * d)
            yield 0, validated * (wide + self.frame_bytes), 0
        given, keys = validated * self.frame_bytes, shape.lm_kv_heads * shape.lm_head_dim
        columns = self.batch.text_tokens + 1 + (self.batch.chunks - 1) * _AUDIO_TOKENS  # as if clips of any length were together
        yield 0, given + clips * length * 12 * h, clips * columns * shape.vocab * (8 + 2 * self.autocast)
        yield 0, given + clips * length * (2 * shape.lm_layers * keys * c + c * (3 * shape.lm_ffn + 4 * h)), 0  # generation keeps keys and values

    def weights(self, trained: int) -> int:
        """Bytes of the model's own weights, of which `trained` numbers train and so are fp32."""
        numbers, packed = self.shape.numbers()
        packed *= self.settings.load_in_4bit
        in_fp32 = trained + CHUNK_FRAMES * self.shape.tower_width  # the tower's positions in any case
        return round(_NF4_BYTES * packed) + 4 * in_fp32 + self.frozen * (numbers - packed - in_fp32)
