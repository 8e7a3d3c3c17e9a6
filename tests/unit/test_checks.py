from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile

from tests.support.clips import speech_like
from voxtune.dataset import checks, store
from voxtune.dataset.clips import read_lines
from voxtune.phrases import cleaning


def _write(path: Path, wave: np.ndarray, subtype: str = "PCM_16") -> None:
    soundfile.write(path, wave, 16_000, subtype=subtype)


def _break(folder: Path) -> dict[str, Path]:
    """One clip for each thing that can be wrong; the code it must get."""
    good = speech_like(1.0)
    broken = {code: folder / f"{code}.wav" for code in get_args(checks.Code) if code not in ("wrong_text", "duplicate_text", "bad_line")}
    broken["unreadable"] = folder / "unreadable.flac"
    soundfile.write(broken["unreadable"], np.tile(good, 3), 16_000)
    broken["unreadable"].write_bytes(broken["unreadable"].read_bytes()[:8_000])
    broken["not_audio"].write_text("#EXTM3U\nother.wav\n")
    broken["empty"].write_bytes(b"")
    _write(broken["silent"], np.zeros(16_000))
    _write(broken["clipped"], np.clip(good * 8, -1, 1))
    _write(broken["too_quiet"], good * 0.008)
    _write(broken["too_short"], good[:1_600])
    _write(broken["too_long"], speech_like(31, seed=5))
    nan = good.copy()
    nan[5] = np.inf
    _write(broken["nan_or_inf"], nan, "FLOAT")
    _write(broken["duplicate_audio"], speech_like(1.0, seed=99))
    return broken


@pytest.mark.parametrize("processes", [None, 2])
def test_every_problem_is_reported_at_once_under_its_code(tmp_path: Path, processes: int | None) -> None:
    broken = _break(tmp_path)
    rows = [{"audio_path": path.name, "text": f"the sentence {code}"} for code, path in broken.items()]
    rows.append({"audio_path": "duplicate_audio.wav", "text": "something else"})
    _write(tmp_path / "text.wav", speech_like(1.0, seed=7))
    rows.append({"audio_path": "text.wav", "text": "bell \a here"})
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "not json\n")
    clips, bad = read_lines(file)
    moves: list[None] = []
    problems, duration_s = checks.check(clips, bad, progress=lambda: moves.append(None), processes=processes)
    assert len(moves) == len(clips)
    assert (problems, duration_s) == checks.check(clips, bad, processes=1)
    found = {problem.code: problem for problem in problems}
    assert set(found) == set(get_args(checks.Code)) - {"duplicate_text"}
    assert len(problems) == len(found)
    for code, path in broken.items():
        if code != "duplicate_audio":
            assert found[code].file == str(path)
            assert found[code].line == list(broken).index(code) + 1
    assert all(problem.message and problem.hint for problem in problems)
    assert {code for code, problem in found.items() if problem.severity == "warning"} == {"clipped", "too_quiet", "too_long"}
    assert 30 < duration_s < 50


def test_a_good_dataset_has_no_problem(dataset: Callable[..., Path]) -> None:
    found = store.load(dataset([f"sentence {n}" for n in range(8)]))
    assert checks.check(found.clips)[0] == []


def test_a_sentence_on_two_sides_is_an_error(dataset: Callable[..., Path]) -> None:
    file = dataset(["one", "two", "three", "One!"])
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row, side in zip(rows, ("train", "validation", "test", "test"), strict=True):
        row["split"] = side
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (problem,) = checks.check(store.load(file).clips)[0]
    assert (problem.code, problem.severity, problem.line) == ("duplicate_text", "error", 4)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("", True), (" \u00a0", True), ("tab\there", True), ("bell\a", True), ("line\u2028break", True), ("می\u200cخواهم", False), ("क्\u200dष", False)],
)
def test_texts_that_cannot_be_transcripts(text: str, wrong: bool) -> None:
    assert bool(cleaning.text_problem(text)) is wrong
