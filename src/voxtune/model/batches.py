"""Clips to batches, token for token as Voxtral was trained.

    <s> [INST] [BEGIN_AUDIO] [AUDIO] x 375 a chunk of 30 s [/INST] lang:xx [TRANSCRIBE]  text </s>
    |---------------------------- prompt, label -100 -----------------------------|  |-- loss --|

`lang:xx` is left out for automatic detection. Nothing is cut off: a clip of any length has as many chunks as it needs, a transcript
all its tokens. The layout is mistral-common's InstructTokenizerV7.encode_transcription, and tests hold it against
VoxtralProcessor.apply_transcription_request. The audio goes to the mel as float32: that method writes 16-bit WAVs in between, which
quantises and clips.

Shape letters: b clips, n chunks of 30 s, l tokens, k positions whose prediction carries loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import VoxtralProcessor

from voxtune.audio import SAMPLE_RATE_HZ, Wave
from voxtune.model.mel import Mel, MelExtractor

CHUNK_AUDIO_TOKENS = 375
"""Tokens of 80 ms: four encoder frames of 20 ms each."""
IGNORED = -100
"""The label that carries no loss, as in torch and transformers."""


Sound = Mel | Tensor
"""Of a clip: its log-mel, or what the frozen part of the tower made of that, [n, ...] a chunk (voxtune.model.tower)."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One clip as the model sees it."""

    input_ids: list[int]
    labels: list[int]
    """As long as `input_ids`; IGNORED where there is no loss. All IGNORED if there is no transcript."""
    sound: Sound
    duration_s: float
    number: int = -1
    """Its place among the clips that were prepared together."""

    @property
    def features(self) -> Tensor:
        """What the model is given as `input_features`: log-mel float32 [n, 128, 3000], or the frozen part's output [n, ...]."""
        return self.sound.chunks() if isinstance(self.sound, Mel) else self.sound

    @property
    def num_chunks(self) -> int:
        """Chunks of 30 s."""
        return _num_chunks(self.sound)

    @property
    def prompt_ids(self) -> list[int]:
        """The tokens before the transcript."""
        return [token for token, label in zip(self.input_ids, self.labels, strict=True) if label == IGNORED]

    @property
    def prompt(self) -> Example:
        """The same clip without its transcript."""
        return replace(self, input_ids=self.prompt_ids, labels=[IGNORED] * len(self.prompt_ids))

    @property
    def loss_ids(self) -> list[int]:
        """The tokens that carry loss."""
        return [label for label in self.labels if label != IGNORED]


def _num_chunks(sound: Sound) -> int:
    return sound.num_chunks if isinstance(sound, Mel) else len(sound)


class Encoder:
    """Turns clips into examples with one model's processor."""

    def __init__(self, processor: VoxtralProcessor) -> None:
        self.processor = processor
        self._tokenizer = processor.tokenizer
        special = {name: self._control(name) for name in ("<s>", "</s>", "<pad>", "[INST]", "[/INST]", "[BEGIN_AUDIO]", "[AUDIO]", "[TRANSCRIBE]")}
        self.audio_id, self.pad_id, self.end_id = special["[AUDIO]"], special["<pad>"], special["</s>"]
        self._mel = MelExtractor(processor.feature_extractor)
        self._open = [special["<s>"], special["[INST]"], special["[BEGIN_AUDIO]"]]
        self._close, self._transcribe = special["[/INST]"], special["[TRANSCRIBE]"]

    def _control(self, name: str) -> int:
        token: int = self._tokenizer.convert_tokens_to_ids(name)
        return token

    def text_ids(self, text: str) -> list[int]:
        """The tokens of plain text, with no control tokens around them."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int], *, keep_control: bool = False) -> str:
        """Text of tokens; control tokens such as </s> are left out, or kept by their names."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=not keep_control))

    def prompt(self, num_chunks: int, language: str | None) -> list[int]:
        """The prompt for audio of `num_chunks` chunks of 30 s."""
        spoken = [] if language is None else self.text_ids(f"lang:{language}")
        return [*self._open, *[self.audio_id] * (CHUNK_AUDIO_TOKENS * num_chunks), self._close, *spoken, self._transcribe]

    def mel(self, wave: Wave) -> Mel:
        """Log-mel of [T] mono at 16 kHz."""
        return self._mel(wave)

    def answer(self, text: str) -> list[int]:
        """What the model is to say of a clip: its text and the end."""
        return [*self.text_ids(text), self.end_id]

    def example(self, wave: Wave, *, language: str | None, text: str | None) -> Example:
        """A training example, or with no `text` a prompt to transcribe."""
        answer = [] if text is None else self.answer(text)
        return self.around(self.mel(wave), language=language, answer=answer, duration_s=len(wave) / SAMPLE_RATE_HZ)

    def around(self, sound: Sound, *, language: str | None, answer: Sequence[int], duration_s: float, number: int = -1) -> Example:
        """The example of a sound that is there already, with the tokens of its answer."""
        prompt = self.prompt(_num_chunks(sound), language)
        labels = [*[IGNORED] * len(prompt), *answer]
        return Example(input_ids=[*prompt, *answer], labels=labels, sound=sound, duration_s=duration_s, number=number)

    def collate(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """One batch: input_ids, attention_mask and labels [b, l], padded on the right; input_features [sum of n, ...]."""
        length = max(len(example.input_ids) for example in examples)

        def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
            return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows], dtype=torch.long)

        return {
            "input_ids": pad([example.input_ids for example in examples], self.pad_id),
            "attention_mask": pad([[1] * len(example.input_ids) for example in examples], 0),
            "labels": pad([example.labels for example in examples], IGNORED),
            "input_features": torch.cat([example.features for example in examples]),
        }

    def training_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A batch for `summed_loss`; `logits_to_keep` [k] is where some clip's next token is a label.

        Clips of as many chunks each have their labels in nearly the same place.
        """
        batch = self.collate(examples)
        del batch["attention_mask"]  # no clip sees the padding behind it
        first = min(len(example.prompt_ids) for example in examples)
        return batch | {"logits_to_keep": torch.arange(first - 1, batch["labels"].shape[1] - 1)}

    def preview(self, example: Example) -> dict[str, Any]:
        """What the model sees of a clip and which tokens carry loss, as `voxtune dataset preview --json` prints it."""
        return {
            "input_ids": example.input_ids,
            "labels": example.labels,
            "num_audio_tokens": example.input_ids.count(self.audio_id),
            "prompt_text": self.decode(example.prompt_ids, keep_control=True),
            "loss_text": self.decode(example.loss_ids, keep_control=True),
        }
