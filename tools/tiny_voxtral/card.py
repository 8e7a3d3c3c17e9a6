"""The card that stands beside the tiny model's weights, made from what was measured."""

from __future__ import annotations

from voxtune.phrases import practice

from . import network, speech

_CARD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: automatic-speech-recognition
---

# tiny: a practice Voxtral

A real Voxtral of {parameters:.1f} M parameters: stock `VoxtralForConditionalGeneration` and `VoxtralProcessor`, the same prompt, the same 30 s chunks,
a tower of {tower_layers} layers and a decoder of {decoder_layers}, {width} wide. It knows {num_words} English words (the practice grammar: rooms,
lights, colours, numbers, days, timers, media, a few names) spoken by espeak-ng, and nothing else. It is there so that the whole of voxtune
can be used and tested on a laptop, offline, in minutes. It is no recogniser for other purposes.

## How it was made

`python tools/build_tiny.py`, from random weights, on two CPU cores: sentences of the grammar and loose words of it, spoken by espeak-ng
in {num_accents} English accents x {num_variants} voice variants at random speed, pitch and pauses, with changes of pace, room reverberation, microphone
curves and noise. First the tower learns letters by CTC, then the decoder
learns to read the tower, then both together. The tokenizer's merges
were learned on the same grammar. No recording of a person and no fetched data went into it.

## What it can do

WER of greedy transcription, {date}. espeak-ng: 120 each in voices that it knows, commands that were not in training and loose words in no order.
flite: another synthesiser, whose voices it has never heard, 40 commands each.

| voice | WER |
|---|---|
{rows}

The words: {words}.
"""


def write(wer: dict[str, float], num_parameters: int) -> str:
    """The card's text from measured WERs by voice."""
    import datetime

    words = practice.words()
    return _CARD.format(
        parameters=num_parameters / 1e6,
        tower_layers=network.TOWER_LAYERS,
        decoder_layers=network.DECODER_LAYERS,
        width=network.WIDTH,
        num_words=len(words),
        num_accents=len(speech.ACCENTS),
        num_variants=len(speech.VARIANTS),
        date=datetime.date.today().isoformat(),
        rows="\n".join(f"| {voice} | {rate:.1%} |" for voice, rate in wer.items()),
        words=", ".join(words),
    )
