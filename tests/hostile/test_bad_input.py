"""What a person may get wrong: one message that says what, where and what to do; nothing touched, no traceback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.clips import write_dataset
from tests.support.command import Command

TEXTS = [f"sentence {number}" for number in range(6)]


def _tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["train", "--data", "nowhere"], 2, "nowhere does not exist"),
        (["train", "--data", "data", "--output", "run", "--model", "tiny-not"], 2, "no model 'tiny-not'"),
        (["train", "--data", "data", "--output", "run", "--model", "empty"], 1, "no config.json"),
        (["train", "--data", "data", "--output", "run", "--learning-rate", "0"], 2, "learning_rate"),
        (["train", "--data", "data", "--output", "run", "--learning-rate", "nan"], 2, "learning_rate"),
        (["train", "--data", "data", "--output", "run", "--epochs", "-3"], 2, "epochs"),
        (["train", "--data", "data", "--output", "run", "--language", "english"], 2, "two-letter"),
        (["train", "--data", "data", "--output", "run", "--method", "dora"], 2, "dora"),
        (["train", "--data", "data", "--output", "run", "--colour", "red"], 2, "colour"),
        (["train", "unknown.yaml", "--output", "run"], 2, "unknown setting 'lernrate'"),
        (["train", "gone.yaml", "--output", "run"], 2, "gone.yaml does not exist"),
        (["train", "--data", "data", "--output", "taken"], 2, "already there"),
        (["train", "--data", "data", "--output", "taken", "--resume"], 2, "no run to resume"),
        (["train", "--data", "column.jsonl", "--output", "run"], 1, "there is wav, words"),
        (["train", "--data", "zero.jsonl", "--output", "run"], 1, "no clip"),
        (["train", "--data", "one.jsonl", "--output", "run"], 1, "at least 3 different sentences"),
        (["train", "--data", "broken.jsonl", "--output", "run"], 1, "text.wav"),
        (["train", "--data", "playlist.jsonl", "--output", "run"], 1, "playlist.wav"),
        (["dataset", "import", "data/wavs", "--transcripts", "few.txt", "--output", "new"], 1, "5 lines for 6 clips"),
        (["dataset", "import", "data/wavs", "--transcripts", "gone.txt", "--output", "new"], 2, "gone.txt does not exist"),
        (["dataset", "import", "gone", "--transcripts", "few.txt", "--output", "new"], 2, "gone does not exist"),
        (["dataset", "import", "data/wavs", "--transcripts", "few.txt", "--output", "taken"], 2, "already there"),
        (["dataset", "import", "data/wavs", "--transcripts", "blank.txt", "--output", "new"], 1, "line 3"),
        (["dataset", "import", "data/wavs", "--transcripts", "words.docx", "--output", "new"], 2, "transcripts come as"),
        (["dataset", "check", "empty"], 2, "not a dataset"),
        (["dataset", "export", "data", "--format", "nemo", "--output", "taken"], 2, "already there"),
        (["dataset", "export", "data", "--format", "kaldi", "--output", "new"], 2, "kaldi"),
        (["dataset", "preview", "data", "--model", "empty"], 1, "no config.json"),
        (["evaluate", "data"], 2, "not a training run"),
        (["evaluate", "gone"], 2, "not a training run"),
        (["transcribe", "gone.wav", "--model", "tiny"], 2, "gone.wav does not exist"),
        (["transcribe", "text.wav", "--model", "tiny"], 1, "not audio"),
        (["transcribe", "playlist.wav", "--model", "tiny"], 1, "not audio"),
        (["transcribe", "data/wavs/0.wav", "--model", "weightless"], 1, "holds no weights"),
        (["demo", "--keep", "taken"], 2, "already there"),
        (["sing"], 2, "No such command 'sing'"),
    ],
)  # fmt: skip
def test_it_is_refused_in_words_and_nothing_is_touched(voxtune: Command, tmp_path: Path, words: list[str], code: int, said: str) -> None:
    write_dataset(tmp_path / "data", TEXTS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious.txt").write_text("mine")
    (tmp_path / "weightless").mkdir()
    (tmp_path / "weightless" / "config.json").write_text('{"model_type": "voxtral"}')
    (tmp_path / "unknown.yaml").write_text("data: data\nlernrate: 1\n")
    (tmp_path / "text.wav").write_text("this is a text file")
    (tmp_path / "playlist.wav").write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/data/wavs/0.wav\n")
    (tmp_path / "column.jsonl").write_text('{"wav": "data/wavs/0.wav", "words": "x"}\n')
    (tmp_path / "zero.jsonl").write_text("")
    (tmp_path / "one.jsonl").write_text('{"audio": "data/wavs/0.wav", "text": "x"}\n')
    rows = [{"audio": f"data/wavs/{number}.wav", "text": text} for number, text in enumerate(TEXTS)]
    for name in ("text", "playlist"):
        listed = [*rows, {"audio": f"{name}.wav", "text": "another"}]
        (tmp_path / f"{'broken' if name == 'text' else name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in listed))
    (tmp_path / "few.txt").write_text("a\nb\nc\nd\ne\n")
    (tmp_path / "blank.txt").write_text("a\nb\n\nd\ne\nf\n")
    (tmp_path / "words.docx").write_bytes(b"PK")
    before = _tree(tmp_path)
    message = voxtune.refused(*words, code=code)
    assert said in message
    assert _tree(tmp_path) == before
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "new").exists()


def test_debug_shows_the_traceback(voxtune: Command) -> None:
    done = voxtune("dataset", "check", "nowhere", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err


def test_a_clip_that_vanishes_between_check_and_training_fails_the_run_in_words(dataset: Callable[..., Path]) -> None:
    from voxtune.dataset import store
    from voxtune.errors import AudioError
    from voxtune.model import names, voxtral
    from voxtune.model.batches import Encoder
    from voxtune.model.prepared import PreparedClips

    file = dataset(TEXTS)
    clips = store.load(file).clips
    prepared = PreparedClips(clips, Encoder(voxtral.load_processor(names.find("tiny"))))
    (file.parent / "wavs" / "3.wav").unlink()
    with pytest.raises(AudioError, match=r"3\.wav"):
        prepared[3]
