"""The shipped tiny model: stock classes load it, it knows its own voices, and a new voice is hard for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoProcessor, VoxtralForConditionalGeneration

from voxtune import audio
from voxtune.dataset import transcripts
from voxtune.evaluation import validation
from voxtune.model import names, voxtral
from voxtune.model.batches import Encoder
from voxtune.model.prepared import PreparedClips

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wer_of() -> object:
    """WER of the tiny model on a folder of clips with metadata.csv."""
    precision = voxtral.choose_precision("fp32")
    encoder = Encoder(voxtral.load_processor(names.find("tiny")))
    model = voxtral.load_base(names.find("tiny"), precision)

    def measure(folder: Path, count: int) -> float:
        clips = transcripts.pair(transcripts.find_audio([folder]), folder / "metadata.csv")[:count]
        return validation.score(model, encoder, clips, PreparedClips(clips, encoder).prompts, precision, batch_size=10).wer

    return measure


def test_unseen_sentences_of_known_voices_are_heard(wer_of: object) -> None:
    assert wer_of(ROOT / "tests" / "data" / "espeak", 30) <= 0.05  # type: ignore[operator]


def test_a_voice_of_another_synthesiser_is_hard(wer_of: object) -> None:
    assert wer_of(ROOT / "examples" / "demo_voice", 40) > 0.4  # type: ignore[operator]


def test_stock_classes_load_and_transcribe_unpatched() -> None:
    folder = names.tiny_folder()
    processor = AutoProcessor.from_pretrained(folder)
    model = VoxtralForConditionalGeneration.from_pretrained(folder).eval()
    assert model.config.audio_config.max_source_positions == 1_500
    text = (ROOT / "tests" / "data" / "espeak" / "metadata.csv").read_text().splitlines()[0].split("|")[1]
    wave = audio.read(ROOT / "tests" / "data" / "espeak" / "wavs" / "espeak-01.flac")
    inputs = processor.apply_transcription_request(wave, model_id="tiny", language="en", sampling_rate=16_000, format=["WAV"])
    out = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    heard = processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
    assert len(set(heard.split()) & set(text.split())) >= len(text.split()) / 2


def test_the_weights_are_small_and_have_a_card() -> None:
    folder = names.tiny_folder()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 12_000_000
    assert not [path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    card = (folder / "README.md").read_text()
    assert "espeak-ng" in card
    assert "WER" in card
