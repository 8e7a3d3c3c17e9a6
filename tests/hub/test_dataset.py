"""`voxtune push dataset`: what a person recorded comes back from the Hub exactly, for whom they chose, and nothing else of them goes there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml

from tests.support.clips import sound_file, speech_like, write_dataset
from tests.support.command import Command
from tests.support.hub import Fault, HubServer
from tests.support.hub.state import Repo
from tests.support.takes import demo_lines, wav_of
from voxtune.dataset import recorded
from voxtune.dataset.store import load
from voxtune.errors import CallError
from voxtune.phrases import granary
from voxtune.phrases.phrase import Phrase
from voxtune.publishing import dataset_repo
from voxtune.recordings.takes import Takes, new_key
from voxtune.workspace import RecordingsFolder, Workspace

ROOT = Path(__file__).parent.parent.parent
REVISION = "0123456789abcdef0123456789abcdef01234567"
LABEL = "Wilhelmina's AirPods"
TEXTS = [
    'Sie sagte: "Ja, gern!" – und ging.',
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "| <b>nicht</b> {{fett}} | --- `$x$` \\",
    "2024-02-29",
    "null",
    "Der Preis beträgt 3.50 € (etwa).",
    "Ελληνικά, русский, हिन्दी und ein 🎈.",
]


@pytest.fixture
def voice(hub_command: Command) -> RecordingsFolder:
    """What the studio of a workspace recorded: seven German sentences of Granary, one of them read twice, and one that was uploaded."""
    folder = Workspace(hub_command.folder).recordings()
    raw = {"label": LABEL, "echo_cancellation": False, "auto_gain_control": False, "noise_suppression": False}
    takes = Takes(folder)
    for number, text in enumerate(TEXTS):
        sentence = Phrase(text=text, language="de", source="granary", reference=f"ytc/{number}")
        takes.save(sound_file(speech_like(0.9, seed=number, rate_hz=48_000), 48_000, "WAV", "PCM_16"), sentence, key=new_key(), device=raw)
    sentence = Phrase(text=TEXTS[0], language="de", source="granary")
    takes.save(sound_file(speech_like(1.2, seed=99), 16_000, "WAV", "PCM_16"), sentence, key=new_key(), device={**raw, "noise_suppression": True})
    path, text = demo_lines(1)[0]
    takes.save(wav_of(path), Phrase(text=text, language="en", source="file"), key=new_key(), source="upload", device={"file": "Wilhelmina.wav"})
    make(folder)
    return folder


def make(folder: RecordingsFolder) -> dict[str, Any]:
    """The dataset as it is now."""
    about = {"revision": REVISION, "licence": granary.LICENCE, "attribution": granary.ATTRIBUTION}
    return recorded.make(folder, sources={"granary": about})


def pushed(command: Command, folder: RecordingsFolder | Path, *more: object, repo: str = "voice") -> dict[str, Any]:
    """What `push dataset` says that it published."""
    done = command("push", "dataset", folder.path if isinstance(folder, RecordingsFolder) else folder, repo, "--yes", "--json", *more)
    assert done.code == 0, done.err
    result: dict[str, Any] = done.json
    return result


def loaded(hub: HubServer, folder: Path, repo: str) -> dict[str, Any]:
    """The dataset as `datasets` loads it in another process, with a cache of its own."""
    environment = {**os.environ, **hub.environment(folder / "elsewhere")}
    command = [sys.executable, "-m", "tests.support.hub_dataset", repo]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def files_of(hub: HubServer, repo: str = "alice/voice") -> dict[str, bytes]:
    """Everything in a dataset's repository but what the Hub puts there itself."""
    return {path: hub.read("dataset", repo, path) for path in hub.repos["dataset", repo].files("main") if path != ".gitattributes"}


def written_to(hub: HubServer) -> list[str]:
    """Requests that could change something."""
    return [f"{call.method} {call.path}" for call in hub.calls if call.method not in ("GET", "HEAD")]


def metadata(hub: HubServer, repo: str = "alice/voice") -> dict[str, Any]:
    """The head of a dataset's card."""
    head = hub.read("dataset", repo, "README.md").decode().split("---\n")[1]
    found: dict[str, Any] = yaml.safe_load(head)
    return found


@pytest.mark.parametrize("transfer", ["xet", "lfs"])
def test_every_clip_and_every_word_comes_back(hub: HubServer, hub_command: Command, voice: RecordingsFolder, transfer: str, tmp_path: Path) -> None:
    said = pushed(hub_command, voice)
    here = load(voice.path)
    mine = sorted([clip.split, hashlib.sha256(clip.path.read_bytes()).hexdigest(), clip.text, clip.language, None] for clip in here.clips)
    assert len(mine) == 8

    there = loaded(hub, tmp_path, "alice/voice")
    assert sorted(there["rows"]) == mine
    assert there["features"]["text"] == "Value('string')"
    assert (said["kind"], said["repo"], said["private"], said["url"]) == ("dataset", "alice/voice", True, f"{hub.url}/datasets/alice/voice")
    assert said["revision"] == hub.repos["dataset", "alice/voice"].refs["main"]
    stored = {"xet" if "/xorbs/" in call.path else "lfs" for call in hub.calls if "/xorbs/" in call.path or (call.method == "PUT" and "/lfs/" in call.path)}
    assert stored == {transfer}

    # The card's own code shows all of it, each in its way.
    by_datasets, by_hand = there["said"]
    assert all(text in by_datasets for split, _, text, _, _ in mine if split == "train")
    assert all(text in by_hand for _, _, text, _, _ in mine)
    assert len(by_hand.splitlines()) == 8
    # Downloaded, it is a dataset of voxtune's with the same split.
    clone = next((tmp_path / "elsewhere" / "hf" / "hub").glob("datasets--alice--voice/snapshots/*"))
    assert sorted((clip.split, clip.text) for clip in load(clone).clips) == sorted((clip.split, clip.text) for clip in here.clips)


def test_the_repository_is_laid_out_for_the_viewer_and_tells_nothing_of_the_person(hub: HubServer, hub_command: Command, voice: RecordingsFolder) -> None:
    pushed(hub_command, voice)
    there = files_of(hub)
    clips = [path for path in there if path.endswith(".wav")]
    assert set(there) - set(clips) == {"README.md", "data.jsonl", "train/metadata.jsonl", "validation/metadata.jsonl", "test/metadata.jsonl"}
    assert all(re.fullmatch(r"(train|validation|test)/[0-9a-f]{20}\.wav", path) for path in clips)
    for side in ("train", "validation", "test"):
        rows = [json.loads(line) for line in there[f"{side}/metadata.jsonl"].decode().splitlines()]
        assert {f"{side}/{row['file_name']}" for row in rows} == {path for path in clips if path.startswith(side)}
        assert all(set(row) == {"file_name", "text", "language"} for row in rows)

    stems = [Path(take.file).stem for take in Takes(voice).all().values()]
    for secret in [LABEL, "AirPods", "Wilhelmina", str(hub_command.folder), "hf_write", "voxtral_user", *stems, *(stem.split("-")[1] for stem in stems)]:
        assert not [path for path, data in there.items() if secret.encode() in data or secret in path], secret


def test_the_card_says_where_sentences_and_sound_come_from(hub: HubServer, hub_command: Command, voice: RecordingsFolder) -> None:
    pushed(hub_command, voice, "--voice", "own")
    head = metadata(hub)
    assert head["language"] == ["de", "en"]
    assert "license" not in head
    assert head["pretty_name"] == "Recordings in German and English"
    assert (head["size_categories"], head["task_categories"]) == (["n<1K"], ["automatic-speech-recognition"])
    assert head["source_datasets"] == ["nvidia/Granary"]
    assert "voxtune" in head["tags"]
    assert head["configs"] == [
        {"config_name": "default", "data_files": [{"split": side, "path": f"{side}/**"} for side in ("train", "validation", "test")]},
    ]
    assert "clone" in head["extra_gated_prompt"]
    assert list(head["extra_gated_fields"].values()) == ["checkbox", "checkbox", "text"]

    card = hub.read("dataset", "alice/voice", "README.md").decode()
    for fact in (
        "8 clips, ",
        "7 clips read aloud",
        "6 with echo cancelling, gain control and noise suppression off; 1 with some of them on",
        "1 clip sent as files",
        "6 at 48,000 Hz",
        f"7 clips with a sentence of [nvidia/Granary](https://huggingface.co/datasets/nvidia/Granary/tree/{REVISION}) at revision `{REVISION[:12]}`",
        "CC-BY-4.0",
        "YouTube-Commons",
        "these are recordings of my own voice",
        "the account alice confirmed",
        "None was chosen: all rights stay with the speaker",
    ):
        assert fact in card, fact
    month = re.search(r"Recorded in (\S+)\.\n", card)
    assert month
    assert re.fullmatch(r"\d{4}-\d\d", month[1])


def test_again_sends_nothing_and_a_clip_that_was_thrown_away_disappears(hub: HubServer, hub_command: Command, voice: RecordingsFolder) -> None:
    first = pushed(hub_command, voice, "--license", "cc-by-4.0")
    hub.calls.clear()
    again = pushed(hub_command, voice)
    assert again["sent"] == []
    assert again["revision"] == first["revision"]
    assert again["license"] == "cc-by-4.0"
    assert written_to(hub) == []

    before = files_of(hub)
    takes = Takes(voice)
    gone = next(take for take in takes.kept().values() if take.text == TEXTS[1])
    takes.trash(gone.key)
    assert "thrown away" in hub_command.refused("push", "dataset", voice.path, "voice", "--yes", code=1)
    assert files_of(hub) == before
    assert make(voice)["consent"]["by"] == "alice"  # what was said once outlives the dataset's being made anew
    after = pushed(hub_command, voice)
    removed = set(before) - set(files_of(hub))
    assert [before[path] for path in removed] == [takes.path(gone).read_bytes()]
    assert not [path for path in after["sent"] if path.endswith(".wav") and path not in removed]
    assert TEXTS[1].encode() not in b"".join(files_of(hub).values())
    # Nor is it in what was there before: no commit holds it any more.
    assert [set(commit.files) & removed for commit in hub.repos["dataset", "alice/voice"].commits.values()] == [set()]
    assert after["revision"] != first["revision"]
    assert hub.repos["dataset", "alice/voice"].resolve("main") == after["revision"]
    assert metadata(hub)["license"] == "cc-by-4.0"
    assert hub.repos["dataset", "alice/voice"].private


def test_public_only_on_purpose_and_under_a_licence(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    data = dataset(["one", "two", "three"])
    said = hub_command.refused("push", "dataset", data, "voice", "--public", "--yes", code=2)
    assert "--license" in said
    assert "cc-by" in hub_command.refused("push", "dataset", data, "voice", "--license", "mine-1.0", "--yes", code=2)
    assert hub.calls == []

    assert pushed(hub_command, data, "--public", "--license", "cc-by-nc-4.0")["private"] is False
    repo = hub.repos["dataset", "alice/voice"]
    assert (repo.private, repo.gated) == (False, "auto")
    assert metadata(hub)["license"] == "cc-by-nc-4.0"
    assert len(repo.commits) == 1  # nothing of when it was private
    # What is kept private is not put where everybody sees it.
    commits = len(repo.commits)
    assert "public" in hub_command.refused("push", "dataset", data, "voice", "--yes", code=1)
    assert len(repo.commits) == commits


def test_another_dataset_of_the_same_name_is_left_alone(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    """As of another machine: its clips were not thrown away, though they are not here."""
    first, second = dataset(["one", "two", "three"]), dataset(["four", "five", "six"], name="second")
    pushed(hub_command, first)
    before = files_of(hub)
    assert "another dataset" in hub_command.refused("push", "dataset", second, "voice", "--yes", code=2)
    assert files_of(hub) == before
    commits = set(hub.repos["dataset", "alice/voice"].commits)
    pushed(hub_command, second, "--replace")
    assert b"four" in files_of(hub)["data.jsonl"]
    assert commits < set(hub.repos["dataset", "alice/voice"].commits)  # what was there stays in its history


def test_what_goes_into_a_public_repository_is_gated_first(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    repo = hub.repos["dataset", "alice/voice"] = Repo("dataset", "alice/voice")
    repo.commit("main", "made on the website", "", {}, "alice")
    pushed(hub_command, dataset(["one", "two", "three"]), "--public", "--license", "cc-by-4.0")
    assert hub.repos["dataset", "alice/voice"].gated == "auto"
    order = [call.path for call in hub.calls if call.path.endswith("/settings") or "/commit/" in call.path]
    assert order[0].endswith("/settings")


def test_a_repository_that_holds_something_else_is_left_alone(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    data = dataset(["one", "two", "three"])
    thesis = Repo("dataset", "alice/thesis", private=True)
    thesis.commit("main", "mine", "", {"chapter.csv": hub.state.keep(b"a,b\n")}, "alice")
    hub.repos["dataset", "alice/thesis"] = thesis
    said = hub_command.refused("push", "dataset", data, "thesis", "--yes", code=2)
    assert "--replace" in said
    assert set(thesis.files()) == {"chapter.csv"}
    pushed(hub_command, data, "--replace", repo="thesis")
    assert {"chapter.csv", "data.jsonl"} <= set(thesis.files())  # and what was there is still not ours to remove


@pytest.mark.parametrize(
    ("name", "token", "code", "says"),
    [
        ("../etc/passwd", "hf_write", 2, "no repository of the name"),
        ("alice/x/y", "hf_write", 2, "no repository of the name"),
        ("alice/" + "x" * 200, "hf_write", 2, "no repository of the name"),
        ("vo\nice", "hf_write", 2, "no repository of the name"),
        ("https://evil.example/x", "hf_write", 2, "no repository of the name"),
        ("voice", "hf_read", 1, "can only read"),
        ("bob/voice", "hf_write", 1, "cannot publish under bob"),
        ("voice", "hf_revoked", 1, "hf auth login"),
        ("voice", None, 1, "nobody is signed in"),
    ],
)
def test_what_cannot_go_is_told_before_anything_is_sent(
    hub: HubServer, hub_command: Command, dataset: Callable[..., Path], tmp_path: Path, name: str, token: str | None, code: int, says: str
) -> None:
    data = dataset(["one", "two", "three"])
    command = Command(folder=tmp_path, environment={**hub_command.environment, **hub.environment(tmp_path, token=token)})
    said = command.refused("push", "dataset", data, name, "--yes", code=code)
    assert says in said
    assert "hf_w" not in said
    assert written_to(hub) == []
    if code == 2:
        assert hub.calls == []
    assert hub.repos == {}
    assert not (data.parent / "published.json").exists()


def at_a_terminal(command: Command, *words: object, answers: str) -> tuple[int, str]:
    """Run a command for a person who answers; gives its exit code and what it said to them."""
    keyboard, terminal = pty.openpty()
    os.write(keyboard, answers.encode())
    line = [sys.executable, "-m", "voxtune", *map(str, words)]
    environment = {**os.environ, **command.environment}
    done = subprocess.run(line, stdin=terminal, capture_output=True, text=True, cwd=command.folder, env=environment, check=False, timeout=60)
    os.close(terminal)
    os.close(keyboard)
    return done.returncode, done.stderr


def test_a_person_sees_who_and_where_and_says_whose_voice_it_is(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    data = dataset(["one", "two", "three"])
    for answers in ("n\n", "y\nown\nn\n"):  # that it is their voice; that it is to go
        code, said = at_a_terminal(hub_command, "push", "dataset", data, "voice", answers=answers)
        assert code == 130
        assert "You are alice" in said
        assert f"{hub.url}/datasets/alice/voice" in said
        assert "private: only alice" in said
        assert written_to(hub) == []
    code, said = at_a_terminal(hub_command, "push", "dataset", data, "voice", answers="y\n")  # whose it is was said
    assert code == 0, said
    assert "recordings of my own voice" in hub.read("dataset", "alice/voice", "README.md").decode()


def test_nothing_goes_before_somebody_said_whose_voice_it_is(dataset: Callable[..., Path]) -> None:
    with pytest.raises(CallError, match="whose voice"):
        dataset_repo.push(dataset(["one", "two", "three"]), "alice/voice")


def test_nobody_to_ask_and_no_yes_is_a_refusal(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    data = dataset(["one", "two", "three"])
    assert "--yes" in hub_command.refused("push", "dataset", data, "voice", "--voice", "own", code=2)
    assert hub.calls == []
    assert not (data.parent / "published.json").exists()


def test_clips_with_errors_are_named_and_none_is_sent(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    data = dataset(["one", "two", "three"])
    (data.parent / "wavs" / "1.wav").write_bytes(b"no sound")
    said = hub_command.refused("push", "dataset", data, "voice", "--yes", code=1)
    assert "1.wav" in said
    assert "line 2" in said
    assert written_to(hub) == []


def test_too_few_sentences_for_a_split_go_to_train_and_names_of_speakers_stay_at_home(hub: HubServer, hub_command: Command, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "few", ["one", "two"])
    rows = [{**json.loads(line), "speaker": name} for line, name in zip(data.read_text().splitlines(), ("Anna Muster", "Ben Beispiel"), strict=True)]
    rows[0]["language"] = "en"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pushed(hub_command, data)
    assert metadata(hub)["configs"][0]["data_files"] == [{"split": "train", "path": "train/**"}]
    assert {path.split("/")[0] for path in files_of(hub) if "/" in path} == {"train"}
    there = loaded(hub, tmp_path, "alice/voice")
    assert [row[2:] for row in there["rows"]] == [["one", "en", "speaker-1"], ["two", "", "speaker-2"]]
    card = hub.read("dataset", "alice/voice", "README.md").decode()
    assert "| train | 2 | 0.0 | 2 |" in card
    assert "too few different sentences" in card
    assert b"Muster" not in b"".join(files_of(hub).values())


def test_sound_of_any_kind_goes_as_plain_wav_without_what_programs_wrote_into_it(hub: HubServer, hub_command: Command, tmp_path: Path) -> None:
    wave = speech_like(0.8, seed=1, rate_hz=44_100)
    plain = sound_file(wave, 44_100, "WAV", "PCM_16")
    note = b"IART" + struct.pack("<I", 12) + b"Wilhelmina X"
    chunk = b"LIST" + struct.pack("<I", 4 + len(note)) + b"INFO" + note
    marked = plain[:4] + struct.pack("<I", len(plain) - 8 + len(chunk)) + plain[8:] + chunk
    sounds = {"a.wav": plain, "b.wav": marked, "c.flac": sound_file(speech_like(0.8, seed=2), 16_000, "FLAC")}
    (tmp_path / "in").mkdir()
    for name, data in sounds.items():
        (tmp_path / "in" / name).write_bytes(data)
    lines = tmp_path / "in" / "mine.jsonl"
    rows: list[dict[str, object]] = [
        {"audio_path": "a.wav", "text": "the same"},
        {"audio_path": "b.wav", "text": "the same"},
        {"audio_path": "c.flac", "text": "another"},
        {"audio_path": "c.flac", "text": "a part of it", "start_s": 0.1, "end_s": 0.5},
    ]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pushed(hub_command, lines)
    clips = {path: data for path, data in files_of(hub).items() if path.endswith(".wav")}
    assert plain in clips.values()  # byte for byte; and the other, without the name in it, is the same file
    others = [soundfile.read(io.BytesIO(data)) for data in clips.values() if data != plain]
    assert sorted((rate_hz, len(samples)) for samples, rate_hz in others) == [(16_000, 6_400), (16_000, 12_800)]
    assert not [path for path, data in files_of(hub).items() if b"Wilhelmina" in data]


def test_a_side_of_dates_alone_is_refused_since_it_would_not_be_read_as_text(hub: HubServer, hub_command: Command, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "dates", ["2024-02-29", "2024-03-01"])
    assert "is a date" in hub_command.refused("push", "dataset", data, "voice", "--yes", code=1)
    assert written_to(hub) == []


def test_where_sending_broke_off_is_on_record_and_the_next_time_ends_it(hub: HubServer, hub_command: Command, voice: RecordingsFolder) -> None:
    hub.faults.append(Fault("POST", r"/commit/", 403, times=None))
    assert "alice/voice" in hub_command.refused("push", "dataset", voice.path, "voice", "--yes", code=1)
    noted = json.loads((voice.path / "published.json").read_text())
    assert "dataset" not in noted
    assert noted["dataset_unfinished"] == {"kind": "dataset", "repo": "alice/voice"}
    hub.faults.clear()
    pushed(hub_command, voice)
    pushed(hub_command, voice, repo="acme/voice")
    noted = json.loads((voice.path / "published.json").read_text())
    assert (noted["dataset"]["repo"], noted["dataset"]["earlier"]) == ("acme/voice", ["alice/voice"])
    assert "dataset_unfinished" not in noted
    assert not list(voice.path.glob(".partial-*"))


def test_publishing_a_dataset_loads_no_torch(hub: HubServer, hub_command: Command, voice: RecordingsFolder) -> None:
    script = (
        f"import sys; from voxtune.cli import run; assert run(['push', 'dataset', {str(voice.path)!r}, 'voice', '--yes']) == 0; print(' '.join(sys.modules))"
    )
    environment = {**os.environ, **hub_command.environment}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {"torch", "transformers", "gradio", "peft", "datasets", "trackio"} == set()
    assert f"{hub.url}/datasets/alice/voice" in done.stderr  # where it is, for a person to open


def test_offline_nothing_is_tried(hub: HubServer, hub_command: Command, dataset: Callable[..., Path]) -> None:
    offline = Command(hub_command.folder, {**hub_command.environment, "HF_HUB_OFFLINE": "1"})
    assert "offline mode" in offline.refused("push", "dataset", dataset(["one", "two", "three"]), "voice", "--yes", code=1)
    assert hub.calls == []
