"""`voxtune dataset` as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.support.clips import speech_like
from tests.support.command import Command

ROOT = Path(__file__).parent.parent.parent


def test_import_check_preview_export(voxtune: Command) -> None:
    voice = ROOT / "examples" / "demo_voice"
    done = voxtune("dataset", "import", voice, "--transcripts", voice / "metadata.csv", "--language", "en", "--output", "data", "--json")
    assert done.code == 0, done.err
    assert done.json["num_clips"] == 120
    assert done.json["split"] == {"train": 96, "validation": 10, "test": 14}

    checked = voxtune("dataset", "check", "data", "--json")
    assert checked.code == 0
    assert checked.json["num_clips"] == 120
    assert checked.json["duration_s"] > 200
    assert checked.json["problems"] == []

    shown = voxtune("dataset", "preview", "data", "--model", "tiny", "--count", 2, "--json")
    assert shown.code == 0, shown.err
    assert len(shown.json) == 2
    for row in shown.json:
        assert set(row) == {"audio_path", "duration_s", "input_ids", "labels", "num_audio_tokens", "prompt_text", "loss_text"}
        assert row["num_audio_tokens"] == 375
        assert row["prompt_text"] == "<s>[INST][BEGIN_AUDIO]" + "[AUDIO]" * 375 + "[/INST]lang:en[TRANSCRIBE]"
        assert len(row["input_ids"]) == len(row["labels"])
    texts = [json.loads(line)["text"] for line in (voxtune.folder / "data" / "data.jsonl").read_text().splitlines()]
    assert [row["loss_text"] for row in shown.json] == [f"{text}</s>" for text in texts[:2]]

    for layout, file in (("audiofolder", "train/metadata.jsonl"), ("ljspeech", "metadata.csv"), ("nemo", "test_manifest.json")):
        done = voxtune("dataset", "export", "data", "--format", layout, "--output", f"as-{layout}")
        assert done.code == 0, done.err
        assert (voxtune.folder / f"as-{layout}" / file).is_file()


def test_check_tells_problems_and_fails(voxtune: Command, dataset: Callable[..., Path]) -> None:
    file = dataset(["one", "two", "three"])
    (file.parent / "wavs" / "1.wav").write_text("#EXTM3U\n/etc/passwd\n")
    with file.open("a") as lines:
        lines.write("\n" + json.dumps({"audio_path": "gone.wav", "text": "x"}) + "\n")
    done = voxtune("dataset", "check", file, "--json")
    assert done.code == 1
    assert set(done.json) == {"num_clips", "duration_s", "problems"}
    found = {(problem["code"], problem["line"]) for problem in done.json["problems"]}
    assert found == {("not_audio", 2), ("bad_line", 4), ("missing", 5)}
    assert all(set(problem) == {"code", "severity", "file", "line", "message", "hint"} for problem in done.json["problems"])
    said = voxtune("dataset", "check", file)
    assert said.code == 1
    assert "[not_audio]" in said.out


def test_stereo_48_khz_mp3_and_float_become_a_dataset(voxtune: Command, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    stereo = np.stack([speech_like(1, rate_hz=48_000, seed=1)] * 2, axis=1)
    soundfile.write(folder / "a.mp3", stereo, 48_000)
    soundfile.write(folder / "b.ogg", stereo, 48_000)
    soundfile.write(folder / "c.flac", stereo, 48_000, subtype="PCM_24")
    soundfile.write(folder / "d.wav", stereo * 3, 48_000, subtype="FLOAT")
    (tmp_path / "t.txt").write_text("first\nsecond\nthird\nfourth\n")
    done = voxtune("dataset", "import", folder, "--transcripts", "t.txt", "--output", "data")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (tmp_path / "data" / "data.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == ["first", "second", "third", "fourth"]
    assert voxtune("dataset", "check", "data").code == 0
