"""Killed before, after or half-way through every call that changes the disk, nobody sees half of anything (reliability 2)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.clips import write_dataset
from tests.support.dying import killed_at_every_call
from tests.support.takes import demo_lines, phrase, record, wav_of
from voxtune import files
from voxtune.dataset import recorded, store
from voxtune.recordings.takes import Takes
from voxtune.training import checkpoints, device_queue, events
from voxtune.workspace import RecordingsFolder

WEIGHTS = bytes(range(256)) * 40


def _write_report(file: Path) -> None:
    files.write_json(file, {"wer": 0.2, "clips": ["b"] * 50})


def test_a_report_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        (folder / "report.json").write_text('{"wer": 0.5}')
        return (folder / "report.json",)

    seen = [json.loads((folder / "report.json").read_text())["wer"] for folder in killed_at_every_call(_write_report, prepare, tmp_path)]
    assert len(seen) > 8
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {0.5, 0.2}


def _append(file: Path) -> None:
    for number in (1, 2):
        files.append_line(file, {"step": number})


def test_events_are_whole_and_stay_in_order(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        (folder / "events.jsonl").write_text('{"step": 0}\n')
        return (folder / "events.jsonl",)

    for folder in killed_at_every_call(_append, prepare, tmp_path):
        steps = [event["step"] for event in events.read(folder / "events.jsonl")[0]]
        assert steps == list(range(len(steps)))
        assert steps


def _import(source: Path, target: Path) -> None:
    from voxtune.dataset import transcripts

    file = source / "data.jsonl"
    store.create(transcripts.pair(transcripts.find_audio([source / "wavs"]), file), target, language="en")


def test_a_dataset_is_whole_or_absent(tmp_path: Path) -> None:
    write_dataset(tmp_path / "source", ["one", "two", "three"])

    def prepare(folder: Path) -> tuple[Any, ...]:
        return tmp_path / "source", folder / "made"

    left = []
    for folder in killed_at_every_call(_import, prepare, tmp_path / "work"):
        made = folder / "made"
        left.append(made.exists())
        if made.exists():
            assert len(store.load(made).clips) == 3
            assert all(clip.path.stat().st_size > 1_000 for clip in store.load(made).clips)
    assert len(left) > 20
    assert left[-1]
    assert not left[0]


def _fill(partial: Path) -> None:
    (partial / "adapter_model.safetensors").write_bytes(WEIGHTS)
    (partial / "optimizer.pt").write_bytes(WEIGHTS * 2)
    (partial / "trainer_state.json").write_text('{"global_step": 20}')


def _save(folder: Path) -> None:
    checkpoints.write(folder, 20, _fill)
    checkpoints.prune(folder, keep=1, best_step=None)


def test_there_is_always_a_whole_checkpoint(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        checkpoints.write(folder, 10, _fill)
        return (folder,)

    newest = []
    for folder in killed_at_every_call(_save, prepare, tmp_path):
        found = checkpoints.found(folder)
        assert [checkpoints.flaw(path) for path in found.values()] == [""] * len(found)
        newest.append(max(found))
        files.sweep(folder)
        assert {path.name for path in folder.iterdir()} == {f"step-{step}" for step in found}
    assert len(newest) > 20
    assert newest == sorted(newest)
    assert set(newest) == {10, 20}


def test_a_checkpoint_made_again_never_leaves_a_broken_one(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        checkpoints.write(folder, 10, _fill)
        checkpoints.write(folder, 20, _fill)
        return (folder,)

    for folder in killed_at_every_call(_save, prepare, tmp_path):
        found = checkpoints.found(folder)
        assert found
        assert [checkpoints.flaw(path) for path in found.values()] == [""] * len(found)


def _take_turn(_: Path) -> None:
    with device_queue.turn(["cpu"], "a run", waiting=lambda who: None):
        pass


def test_a_run_killed_in_line_blocks_nobody(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(device_queue.STATE_VARIABLE, str(tmp_path / "state"))
    for _ in killed_at_every_call(_take_turn, lambda folder: (folder,), tmp_path / "work"):
        waited: list[str] = []
        with device_queue.turn(["cpu"], "the next", waiting=waited.append):
            assert waited == []


def _save_take(folder: Path, wav: Path, text: str) -> None:
    takes = Takes(RecordingsFolder(folder))
    for number in range(2):
        takes.save(wav.read_bytes(), phrase(text), key=f"{number:09d}" + "0" * 32)
        (folder / f"told-{number}").touch()


def test_a_take_that_was_told_as_saved_is_there_and_one_that_was_not_can_be_sent_again(tmp_path: Path) -> None:
    clip, text = demo_lines(1)[0]
    wav = tmp_path / "take.wav"
    wav.write_bytes(wav_of(clip))

    def prepare(folder: Path) -> tuple[Any, ...]:
        return folder, wav, text

    left = []
    for folder in killed_at_every_call(_save_take, prepare, tmp_path / "work"):
        takes = Takes(RecordingsFolder(folder))
        told = {f"{number:09d}" + "0" * 32 for number in range(2) if (folder / f"told-{number}").exists()}
        assert told <= set(takes.all())
        takes.recover({phrase(text).id: phrase(text)})
        for take in takes.all().values():
            assert takes.path(take).read_bytes() == wav.read_bytes()
        _save_take(folder, wav, text)  # the page sends again what nobody told it was saved
        assert len(takes.all()) == 2
        left.append(len(told))
    assert left == sorted(left)
    assert set(left) == {0, 1, 2}


def _grow(folder: Path) -> None:
    takes = Takes(RecordingsFolder(folder))
    recorded.make(takes.folder, sources={})


def test_a_dataset_that_grows_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    base = Takes(RecordingsFolder(tmp_path / "base"))
    record(base, 7)
    recorded.make(base.folder, sources={})
    before = {clip.text: clip.split for clip in store.load(base.folder.path).clips}
    record(base, 9)

    def prepare(folder: Path) -> tuple[Any, ...]:
        shutil.copytree(base.folder.path, folder, dirs_exist_ok=True)
        return (folder,)

    sizes = []
    for folder in killed_at_every_call(_grow, prepare, tmp_path / "work"):
        clips = store.load(folder).clips
        sizes.append(len(clips))
        assert {clip.text: clip.split for clip in clips if clip.text in before} == before
    assert set(sizes) == {7, 9}
    assert sizes == sorted(sizes)
