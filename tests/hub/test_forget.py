"""`voxtune forget`: what is of a voice is gone, here and at the Hub, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.clips import sound_file, speech_like
from tests.support.command import Command
from tests.support.hub import Fault, HubServer
from tests.support.hub.state import Repo, Token
from voxtune import files
from voxtune import settings as settings_files
from voxtune.dataset import recorded
from voxtune.errors import CallError, VoxtuneError
from voxtune.phrases.phrase import Phrase
from voxtune.publishing import belongings, forgetting, records
from voxtune.recordings.takes import Takes, new_key
from voxtune.training import opening, process, status
from voxtune.training.status import StatusFile
from voxtune.workspace import RunFolder, Workspace


@pytest.fixture
def workspace(hub_command: Command) -> Workspace:
    """A person's folder with five recordings, one of them in the trash, what the page kept, and two things of their own."""
    place = Workspace(hub_command.folder / "mine")
    folder = place.recordings()
    takes = Takes(folder)
    for number in range(5):
        sentence = Phrase(text=f"sentence number {number}", language="en", source="file")
        takes.save(sound_file(speech_like(0.8, seed=number), 16_000, "WAV", "PCM_16"), sentence, key=new_key())
    takes.trash(next(iter(takes.all())))
    recorded.make(folder, sources={})
    files.write_bytes(place.private / "gradio" / "ab12" / "sent.wav", b"a voice")
    files.write_bytes(place.private / "listening" / "tried.wav", b"a voice")
    files.write_bytes(place.private / "publishing" / "publishing-dataset.log", b"what the page's command said")
    files.write_text(place.private / "key", "the studio's")
    files.write_bytes(folder.path / ".stage-dataset-x" / "dataset" / "train" / "left.wav", b"a voice, of a killed process")
    files.write_text(folder.path / "notes.txt", "a person's own")
    files.write_bytes(hub_command.folder / "elsewhere.wav", b"a person's own")
    (folder.clips / "linked.wav").symlink_to(hub_command.folder / "elsewhere.wav")
    return place


def run_of(place: Workspace, name: str = "run") -> RunFolder:
    """A stopped run on the recordings, as far as its files go."""
    settings = settings_files.make({"data": str(place.recordings().path), "model": "tiny", "output": str(place.outputs / name)})
    run = opening.create(settings, process.this_process(), request_id="")
    StatusFile(run, status.read(run)).update(state="stopped", starting=False)
    for written in ("model/adapter_model.safetensors", "checkpoints/step-3/trainer.pt", "train.log", "evaluation.log", ".publishing-model.asked.json"):
        files.write_bytes(run.path / written, b"of a voice")
    files.write_text(run.path / "thoughts.md", "a person's own")
    return run


def left_in(folder: Path) -> set[str]:
    """Every file and link below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def push(command: Command, data: Path, repo: str) -> None:
    """Publish a dataset."""
    done = command("push", "dataset", data, repo, "--yes")
    assert done.code == 0, done.err


OF_THEIRS = {"datasets/voxtral_user/notes.txt", "datasets/voxtral_user/wavs/linked.wav", ".voxtune/key"}


def test_everything_of_a_voice_goes_and_nothing_else(hub: HubServer, hub_command: Command, workspace: Workspace) -> None:
    folder = workspace.recordings()
    push(hub_command, folder.path, "voice")
    push(hub_command, folder.path, "voice-2")
    run = run_of(workspace)
    records.note(run.path, "model", {"kind": "model", "repo": "alice/tuned"})
    other = run_of(workspace, "other")
    changed = settings_files.load(other.settings, {}).model_copy(update={"data": "/some/where/else"})
    settings_files.save(changed, other.settings)
    tuned = Repo("model", "alice/tuned", private=True)
    tuned.commit("main", "tuned", "", {"README.md": hub.state.keep(b"---\ntags: [voxtune]\n---\n"), "model.safetensors": hub.state.keep(b"x")}, "alice")
    hub.repos["model", "alice/tuned"] = tuned
    of_other = left_in(other.path)

    done = hub_command("forget", "--workspace", workspace.path, "--runs", "--remote", "--yes", "--json")
    assert done.code == 0, done.err
    said = done.json
    assert (said["takes"], said["trashed"], said["runs"]) == (5, 1, [str(run.path)])
    assert said["remote"] == {
        "deleted": [{"kind": "dataset", "repo": "alice/voice-2"}, {"kind": "dataset", "repo": "alice/voice"}, {"kind": "model", "repo": "alice/tuned"}],
        "gone": [],
        "failed": [],
    }
    assert sorted(said["left"]) == [str(folder.path / "notes.txt"), str(folder.clips / "linked.wav"), str(run.path / "thoughts.md")]
    assert hub.repos == {}
    assert left_in(workspace.path) == OF_THEIRS | {"outputs/run/thoughts.md"} | {f"outputs/other/{name}" for name in of_other}
    assert (hub_command.folder / "elsewhere.wav").read_bytes() == b"a person's own"
    # There is nothing left of it to forget.
    assert "nothing of voxtune's" in hub_command.refused("forget", "--workspace", workspace.path, "--remote", "--yes", code=2)


def test_it_asks_first(hub: HubServer, hub_command: Command, workspace: Workspace) -> None:
    push(hub_command, workspace.recordings().path, "voice")
    before = left_in(workspace.path)
    hub.calls.clear()
    assert "--yes" in hub_command.refused("forget", "--workspace", workspace.path, "--remote", code=2)
    assert hub.calls == []
    assert left_in(workspace.path) == before


def test_what_stays_at_the_hub_stays_on_record_until_it_goes_too(hub: HubServer, hub_command: Command, workspace: Workspace) -> None:
    folder = workspace.recordings()
    push(hub_command, folder.path, "voice")
    run = run_of(workspace)
    done = hub_command("forget", "--workspace", workspace.path, "--yes")
    assert done.code == 0
    for told in (
        "5 takes, 1 of them in the trash",
        "notes.txt, which is not voxtune's",
        "which heard them (--runs)",
        "alice/voice at the Hub, and the record of it (--remote)",
    ):
        assert told in done.err
    assert left_in(workspace.path) - {f"outputs/run/{name}" for name in left_in(run.path)} == OF_THEIRS | {"datasets/voxtral_user/published.json"}
    assert ("dataset", "alice/voice") in hub.repos

    done = hub_command("forget", "--workspace", workspace.path, "--remote", "--runs", "--yes", "--json")
    assert done.code == 0, done.err
    assert hub.repos == {}
    assert left_in(workspace.path) == OF_THEIRS | {"outputs/run/thoughts.md"}


def test_what_the_hub_does_not_delete_is_told_and_can_be_tried_again(hub: HubServer, hub_command: Command, workspace: Workspace) -> None:
    folder = workspace.recordings()
    push(hub_command, folder.path, "voice")
    push(hub_command, folder.path, "acme/voice")
    hub.repos["dataset", "alice/voice"].commit("main", "mine", "", {"chapter.csv": hub.state.keep(b"a,b\n")}, "alice")
    hub.faults.append(Fault("DELETE", r"/api/repos/delete", 403))
    done = hub_command("forget", folder.path, "--workspace", workspace.path, "--remote", "--yes", "--json")
    assert done.code == 1
    failed = {each["repo"]: each["message"] for each in done.json["remote"]["failed"]}
    assert "could not delete acme/voice" in failed["acme/voice"]
    assert "did not publish" in failed["alice/voice"]
    assert left_in(folder.path) == {"notes.txt", "wavs/linked.wav", "published.json"}

    del hub.repos["dataset", "alice/voice"]  # by hand, on the Hub's own page
    done = hub_command("forget", folder.path, "--workspace", workspace.path, "--remote", "--yes", "--json")
    assert done.code == 0, done.err
    assert (done.json["remote"]["deleted"], done.json["remote"]["gone"]) == (
        [{"kind": "dataset", "repo": "acme/voice"}],
        [{"kind": "dataset", "repo": "alice/voice"}],
    )
    assert left_in(folder.path) == {"notes.txt", "wavs/linked.wav"}


def test_another_account_cannot_take_a_private_repository_for_gone(hub: HubServer, hub_command: Command, workspace: Workspace, tmp_path: Path) -> None:
    folder = workspace.recordings()
    push(hub_command, folder.path, "voice")
    bob = replace(hub_command, environment={**hub_command.environment, **hub.environment(tmp_path / "bob", token="hf_other")})
    done = bob("forget", folder.path, "--remote", "--yes", "--json")
    assert done.code == 1
    assert "under alice" in done.json["remote"]["failed"][0]["message"]
    assert json.loads((folder.path / "published.json").read_text())["dataset"]["repo"] == "alice/voice"
    nobody = replace(hub_command, environment={**hub_command.environment, **hub.environment(tmp_path / "nobody", token=None)})
    assert "nobody is signed in" in nobody.refused("forget", folder.path, "--remote", "--yes", code=1)
    assert ("dataset", "alice/voice") in hub.repos


def test_where_sending_broke_off_is_taken_back_too(hub: HubServer, hub_command: Command, workspace: Workspace) -> None:
    hub.faults.append(Fault("POST", r"/commit/", 403, times=None))
    hub_command.refused("push", "dataset", workspace.recordings().path, "voice", "--yes", code=1)
    assert ("dataset", "alice/voice") in hub.repos
    done = hub_command("forget", "--workspace", workspace.path, "--remote", "--yes")
    assert done.code == 0, done.err
    assert "Dataset alice/voice: deleted." in done.err
    assert hub.repos == {}


def test_while_somebody_is_at_work_on_them_nothing_goes(hub_command: Command, workspace: Workspace) -> None:
    run = run_of(workspace)
    before = left_in(workspace.path)
    StatusFile(run, status.read(run)).taken_by(process.this_process(), state="queued")
    assert "is at work on these recordings" in hub_command.refused("forget", "--workspace", workspace.path, "--yes", code=2)
    StatusFile(run, status.read(run)).update(state="failed")
    for lock in (".publishing.lock", ".dataset.lock"):
        with files.locked(workspace.recordings().path / lock):
            assert "in use" in hub_command.refused("forget", "--workspace", workspace.path, "--yes", code=2)
    with files.locked(run.lock):
        assert "in use" in hub_command.refused("forget", "--workspace", workspace.path, "--runs", "--yes", code=2)
    assert {name for name in left_in(workspace.path) if not name.endswith(".lock")} == {name for name in before if not name.endswith(".lock")}


def test_what_was_cut_off_goes_on(hub_command: Command, workspace: Workspace) -> None:
    folder = workspace.recordings()
    found = belongings.of_dataset(folder).ours
    assert [path.name for path in found if path.parent == folder.path][:2] == ["data.jsonl", "takes.jsonl"]  # after every recording
    for path in [*found[:3], folder.path / "data.jsonl", folder.takes, folder.reading, folder.path / "dataset.json"]:
        path.unlink(missing_ok=True)
    done = hub_command("forget", "--workspace", workspace.path, "--yes")
    assert done.code == 0, done.err
    assert left_in(workspace.path) == OF_THEIRS


def test_a_folder_of_somebody_elses_is_no_dataset(hub_command: Command, dataset: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.wav").write_bytes(b"x")
    assert "nothing of voxtune's" in hub_command.refused("forget", "music", "--yes", code=2)
    assert "nothing of voxtune's" in hub_command.refused("forget", "nowhere", "--yes", code=2)
    data = dataset(["one", "two", "three"], name="mine")
    (data.parent / "wavs" / "song.wav").write_bytes(b"in no list")
    done = hub_command("forget", data, "--yes", "--json")
    assert done.code == 0, done.err
    assert (done.json["files"], done.json["left"]) == (4, [str(data.parent / "wavs" / "song.wav")])
    assert left_in(data.parent) == {"wavs/song.wav"}


def test_clips_behind_a_link_stay_where_they_are(hub_command: Command, dataset: Callable[..., Path], tmp_path: Path) -> None:
    data = dataset(["one", "two", "three"], name="mine")
    (data.parent / "wavs").rename(tmp_path / "large-disk")
    (data.parent / "wavs").symlink_to(tmp_path / "large-disk")
    done = hub_command("forget", data.parent, "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json["left"] == [str(data.parent / "wavs")]
    assert left_in(tmp_path / "large-disk") == {"0.wav", "1.wav", "2.wav"}


def test_removing_ends_at_what_leads_out_and_can_be_called_again(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for path in (inside / "a" / "1", inside / "a" / "b" / "2", outside / "3"):
        files.write_bytes(path, b"x")
    (inside / "link").symlink_to(outside)
    with pytest.raises(CallError, match="leads out"):
        files.remove([inside / "a" / "1", inside / "link" / "3", inside / "a" / "b" / "2"], below=inside)
    assert left_in(outside) == {"3"}
    with pytest.raises(VoxtuneError, match="could not be deleted"):
        files.remove([inside / "a" / "b"], below=inside)  # a folder is nobody's file
    files.remove([inside / "a" / "1", inside / "a" / "b" / "2"], below=inside)
    assert left_in(inside) == {"link"}
    assert not (inside / "a").exists()


def test_a_plan_names_what_would_go(workspace: Workspace) -> None:
    folder = workspace.recordings()
    run = run_of(workspace)
    records.note(folder.path, "dataset", {"kind": "dataset", "repo": "alice/voice"})
    planned = forgetting.plan(folder.path, runs=False, remote=True, workspace=workspace.path).as_json()
    assert planned["repos"] == [{"kind": "dataset", "repo": "alice/voice"}]
    assert (planned["takes"], planned["trashed"], planned["drafts"]) == (5, 1, 3)
    assert (planned["runs"], planned["other_runs"]) == ([], [str(run.path.resolve())])
    assert planned["files"] == 5 + 1 + 4 + 3  # takes, half a one, data, dataset, takes and published.json, and drafts
    assert planned["bytes"] > 5 * 25_000


def test_what_a_token_cannot_see_is_not_taken_for_gone(hub: HubServer, hub_command: Command, workspace: Workspace) -> None:
    folder = workspace.recordings()
    push(hub_command, folder.path, "voice")
    hub.tokens["hf_narrow"] = Token("alice", "fineGrained", only=("alice",))
    hub.faults.append(Fault("GET", r"/api/datasets/alice/voice$", 404, times=None, headers={"X-Error-Code": "RepoNotFound"}))
    narrow = replace(hub_command, environment={**hub_command.environment, "HF_TOKEN": "hf_narrow"})
    done = narrow("forget", folder.path, "--workspace", workspace.path, "--remote", "--yes", "--json")
    assert done.code == 1
    assert "cannot be told with this token" in done.json["remote"]["failed"][0]["message"]
    assert "published.json" in left_in(folder.path)
    assert ("dataset", "alice/voice") in hub.repos
