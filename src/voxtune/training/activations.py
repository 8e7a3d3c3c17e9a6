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


class Numbers:
    """What the numbers of one run take."""

    def __init__(self, shape: Shape, settings: TrainSettings, *, cuda: bool = False, autocast: bool = False, audio_s: float = 0, text_tokens: int = 0) -> None:
        self.shape, self.settings, self.cuda, self.autocast = shape, settings, cuda, autocast
        self.chunks = max(1, math.ceil(audio_s / CHUNK_S))
        self.length = self.chunks * _AUDIO_TOKENS + _PROMPT_TOKENS + text_tokens + 1
        self.tokens, self.frames = settings.batch_size * self.length, settings.batch_size * self.chunks * CHUNK_FRAMES
        self.c, self.frozen = 2 if autocast else 4, 2 if cuda and autocast else 4  # bytes of a number in computation, of a frozen weight
        self.full = settings.method == "full"
        self.lm_n = 4 if self.full or settings.load_in_4bit else self.frozen  # of one between the language model's layers

    def stages(self) -> Iterator[Stage]:
        """The embeddings and the batch itself, convolutions, tower, projector, language model, lm_head and loss."""
        shape, settings, trained = self.shape, self.settings, self.settings.trained_parts
        embedding = shape.vocab * shape.lm_width * (self.full and "language_model" in trained)
        yield Stage("language_model", self.frames * 2 * shape.mel_bins * 4, 0, embedding, embedding)
        yield (front := self._front())
        # With checkpointing transformers lets gradients flow from the embeddings and the first convolution up, frozen or not.
        needs = settings.gradient_checkpointing or front.trained > 0
        tower, projector, language = self._layers()
        for layer in range(shape.tower_layers):
            trains = "audio_tower" in trained and layer >= shape.tower_layers - (settings.train_tower_layers or shape.tower_layers)
            yield self._layer(tower, trains, needs)
            needs |= trains
        yield self._layer(projector, "projector" in trained, needs)
        needs |= "projector" in trained or self.full
        for layer in range(shape.lm_layers):
            yield self._layer(language, "language_model" in trained, needs or layer > 0)
        yield from self._head(embedding)

    def _layers(self) -> tuple[_Layer, _Layer, _Layer]:
        """A layer of the tower, the projector and a layer of the language model."""
        shape, c, d, h = self.shape, self.c, self.shape.tower_width, self.shape.lm_width
        tower, projector, language = shape.linears()
        in_4bit, several = self.settings.load_in_4bit, self.settings.batch_size > 1
        n = 2 if self.autocast and not self.cuda else 4  # CUDA's autocast runs layer_norm in fp32
        queries, keys = shape.lm_heads * shape.lm_head_dim, shape.lm_kv_heads * shape.lm_head_dim
        # Clips of unlike length bring a mask, and with a mask transformers' sdpa repeats keys and values for every head.
        attention = c * (2 * queries + 2 * (queries if several else keys) + self.length * several) + 4 * shape.lm_heads
        norm, inner = h * (4 + self.lm_n * self.full) + 4, c * (4 * d + shape.tower_ffn) + 4 * shape.tower_heads
        return (
            _Layer("audio_tower", tower, self.frames, n, (n * d + 8, n * d + 8), inner, d * (4 if in_4bit else c), 4 * d),
            _Layer("projector", projector, self.frames // 4, n, (n * shape.tower_ffn + 32, 0), c * h),  # the norm is the tower's, of four frames
            _Layer("language_model", language, self.tokens, self.lm_n, (norm, norm), attention + 3 * c * shape.lm_ffn, self.lm_n * h, 2 * h),
        )

    def _front(self) -> Stage:
        wide, settings = self.frames * self.shape.tower_width * self.c, self.settings
        trains = self.full and "audio_tower" in settings.trained_parts and not settings.train_tower_layers
        if not trains and not settings.gradient_checkpointing:
            return Stage("audio_tower", 0, 4 * wide)
        numbers, bf16 = self.shape.front() * trains, (self.frames * 4 * self.shape.mel_bins + 2 * self.shape.front()) * self.autocast
        return Stage("audio_tower", (5 if trains else 3) * wide + bf16, 3 * wide, numbers, numbers)

    def _head(self, trained: int) -> Iterator[Stage]:
        """The last norm with lm_head, and the loss on logits raised to fp32: log-probabilities, their gradient and that of the logits."""
        width, numbers, trains = self.shape.lm_width, self.tokens * self.shape.vocab, trained > 0
        copied = self.autocast and (trains or self.lm_n == 4)
        kept = self.tokens * width * (4 + (self.lm_n + self.c) * trains) + 2 * copied * self.shape.vocab * width
        yield Stage("language_model", kept, 0, trained + width * trains, trained, numbers * (4 + 2 * self.autocast))
        yield Stage("language_model", 0, logits=12 * numbers)

    def _linears(self, linears: Sequence[Linear], trains: bool, needs: bool, *, cast: bool, held: bool) -> tuple[float, float]:
        """(bytes a token, bytes once) that linear layers keep of one input, which `needs` a gradient, is `cast` to bf16, is `held` by others anyway."""
        settings, c, count = self.settings, self.c, len(linears)
        # Autocast keeps the bf16 copies of fp32 weights through which a gradient flows.
        copied = self.autocast and needs and ((self.full and trains) or (self.frozen == 4 and not settings.load_in_4bit))
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
        shape, validated, accumulates = self.shape, self.settings.eval_batch_size, self.settings.gradient_accumulation_steps > 1
        gradients, kept = 4.0 * accumulates * sum(stage.trained for stage in stages), sum(stage.kept for stage in stages)
        for stage in reversed(stages):  # accumulated gradients are there throughout, and a new one is made apart and added
            yield gradients, kept + stage.work, stage.logits
            gradients, kept = gradients + 4 * stage.trained * (not accumulates), kept - stage.kept
            yield gradients + stage.largest * (4 * accumulates + 2 * self.autocast), kept, stage.logits * (stage.largest > 0)
        d, ffn, keys, mel = shape.tower_width, shape.tower_ffn, shape.lm_kv_heads * shape.lm_head_dim, self.chunks * CHUNK_FRAMES * 8 * shape.mel_bins
        widest = 10 * ffn + 2 * d if self.autocast and not self.full else self.c * ((2 if self.full else 3) * ffn + 4 * d)
        yield 0, validated * (self.chunks * CHUNK_FRAMES * widest + mel), 0
        kept = mel + self.length * (2 * shape.lm_layers * keys * self.c + 12 * shape.lm_width)  # its cache of keys and values comes with the logits
        yield 0, validated * kept, validated * self.length * shape.vocab * (8 + 2 * self.autocast)

    def weights(self, trained: int) -> int:
        """Bytes of the model's own weights, of which `trained` numbers train and so are fp32."""
        numbers, packed = self.shape.numbers()
        if self.settings.load_in_4bit:
            return round(_NF4_BYTES * packed) + 4 * (numbers - packed)  # peft makes all the rest fp32, embeddings and lm_head too
        in_fp32 = trained + CHUNK_FRAMES * self.shape.tower_width  # the tower's positions in any case
        return 4 * in_fp32 + self.frozen * (numbers - in_fp32)
