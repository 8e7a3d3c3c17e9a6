from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from voxtune.doctor import bundle
from voxtune.doctor.check import Check
from voxtune.errors import CallError, InUseError
from voxtune.workspace import RunFolder

Make = Callable[..., RunFolder]
TOKEN = "hf_QxTvLw0123456789abcdefABCDEFxyzw"
SAID = "the heron waits beside the narrow ford"
HEARD = "the hair on weights beside the narrow fort"


@pytest.fixture(autouse=True)
def _person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone called annamaria, with a home of her own and no token."""
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "annamaria"))
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "annamaria")
    for name in ("HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH"):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(tmp_path / name))
    monkeypatch.setattr("socket.gethostname", lambda: "annas-laptop.local")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a run folder with a little of everything."""

    def run(path: str = "run", *, log: str = "", events: str = "", settings: str = "data: data\n", status: str = '{"state": "failed"}') -> RunFolder:
        folder = RunFolder(tmp_path / path)
        folder.path.mkdir(parents=True)
        folder.settings.write_text(settings, encoding="utf-8")
        folder.status.write_text(status, encoding="utf-8")
        folder.events.write_text(events, encoding="utf-8")
        folder.log.write_text(log, encoding="utf-8")
        return folder

    return run


def _zipped(tmp_path: Path, *runs: RunFolder, checks: list[Check] | None = None) -> dict[str, str]:
    target = tmp_path / "bundle.zip"
    names = bundle.write(target, checks or [], runs)
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == names
        return {name: archive.read(name).decode() for name in names}


def test_it_holds_what_helps_and_nothing_of_the_voice(tmp_path: Path, make: Make) -> None:
    run = make(log="all is well\n", events='{"event": "stage", "stage": "training"}\n')
    run.clips.write_text(json.dumps({"audio_path": "a.wav", "text": SAID}))
    for path in ("wavs/a.wav", "checkpoints/step-1/model.safetensors", "model/adapter_model.safetensors", "report.json", "notes.txt"):
        (run.path / path).parent.mkdir(parents=True, exist_ok=True)
        (run.path / path).write_bytes(b"RIFF")
    zipped = _zipped(tmp_path, run, checks=[Check(name="cpu", state="ok", message="2 cores.")])
    assert set(zipped) == {"doctor.json", *(f"runs/run/{name}" for name in ("settings.yaml", "status.json", "events.jsonl", "train.log"))}
    assert json.loads(zipped["doctor.json"])["checks"] == [{"name": "cpu", "state": "ok", "message": "2 cores.", "hint": "", "details": {}}]
    assert zipped["runs/run/train.log"] == "all is well\n"
    assert zipped["runs/run/settings.yaml"] == "data: data\n"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f"token {TOKEN} was used", TOKEN),
        (f"MY_{TOKEN}", TOKEN),
        ("hf_oauth_eyJhbGciOiJFZERTQSJ9.abc-def_ghi", "eyJhbGciOiJFZERTQSJ9.abc-def_ghi"),
        ("api_org_abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuv"),
        ("Authorization: Bearer s3cr3t/va+lue==", "s3cr3t/va+lue=="),
        ("headers={'authorization': 'Bearer abc.def'}", "abc.def"),
        ("authorization: Basic YW5uYTpwYXNz", "YW5uYTpwYXNz"),
        ("fetching https://anna:p@ss:word@example.org/x", "p@ss:word"),
        ("proxy http://onlyatoken@example.org:8080", "onlyatoken"),
        ("POST /login?api_key=0123abcd&x=1", "0123abcd"),
        ("hub_token: correcthorse", "correcthorse"),
        ('{"password": "battery staple', "battery"),
        ("WANDB sk-proj-abcdefghijklmnop", "abcdefghijklmnop"),
        ("pushed with ghp_abcdefghijklmnop1234", "abcdefghijklmnop1234"),
    ],
)
def test_what_looks_like_a_secret_goes(tmp_path: Path, make: Make, line: str, secret: str) -> None:
    run = make(log=f"before\n{line}\nafter\n", settings=f"data: x\n{line}\n", events=json.dumps({"event": "error", "message": line, line: 1}) + "\n")
    zipped = _zipped(tmp_path, run, checks=[Check(name="hub", state="ok", message=line, details={"deep": [{"er": line}]})])
    assert {name for name, text in zipped.items() if secret in text} == set()
    assert all("[secret]" in text for name, text in zipped.items() if not name.endswith("status.json"))
    assert zipped["runs/run/train.log"].startswith("before\n")
    assert zipped["runs/run/train.log"].endswith("\nafter\n")


@pytest.mark.parametrize(
    "line",
    [
        "huggingface_hub.errors raised in hf_hub_download, hf_xet 1.8.0, api_server",
        "max_new_tokens=131072, tokens: 1000000, eos_token=None",
        "see https://huggingface.co/docs/hub",
        "trainable parameters: {'language_model': 12345}; false true 8 1e-4",
    ],
)
def test_plain_lines_stay_as_they_are(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    for name, value in {"TOKENIZERS_PARALLELISM": "false", "KEYTIMEOUT": "1", "EMPTY_TOKEN": ""}.items():
        monkeypatch.setenv(name, value)
    assert _zipped(tmp_path, make(log=line))["runs/run/train.log"] == line


def test_secrets_of_the_environment_and_of_the_token_store_go_in_any_form(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_KEY", 'tricky "one"/é')
    monkeypatch.setenv("MY_password", "pw42")
    monkeypatch.setenv("PASTED_TOKEN", "first-half\nsecond-half\n")
    monkeypatch.setenv("PEM_SECRET", "-----BEGIN-----\nMIIEvQIBADANBgkqhkiG\n-----END-----")
    (tmp_path / "HF_TOKEN_PATH").write_text("an-old-token-without-shape\n")
    (tmp_path / "HF_STORED_TOKENS_PATH").write_text("[mine]\nhf_token = a=stored=one\nrefresh_token = refresher-123\nexpires_at = 1\n")
    forms = ('tricky "one"/é', "tricky%20%22one%22%2F%C3%A9", "pw42", "MIIEvQIBADANBgkqhkiG")
    told = " | ".join((*forms, "an-old-token-without-shape", "a=stored=one", "refresher-123", "first-halfsecond-half"))
    run = make(log=f"{told}\n{json.dumps(told)}\npw4200\n", events=json.dumps({"event": "error", "message": told}) + "\n")
    zipped = _zipped(tmp_path, run)
    for text in ("tricky", "MIIE", "without-shape", "stored=one", "refresher-123", "pw42 ", "half"):
        assert {name for name, inside in zipped.items() if text in inside} == set()
    assert "pw4200" in zipped["runs/run/train.log"]


def test_the_home_folder_and_the_names_of_person_and_machine_go(tmp_path: Path, make: Make) -> None:
    home = os.environ["HOME"]
    run = make("annamaria_run", log=f"{home}/voices/a.wav on annas-laptop, /media/AnnaMaria/b.wav\n", settings=f"data: {home}\n")
    zipped = _zipped(tmp_path, run, checks=[Check(name="workspace", state="ok", message=f"{home}: 3 GiB free.", details={"path": home})])
    assert zipped["runs/[user]_run/train.log"] == "~/voices/a.wav on [host], /media/[user]/b.wav\n"
    assert zipped["runs/[user]_run/settings.yaml"] == "data: ~\n"
    assert json.loads(zipped["doctor.json"])["checks"][0]["details"] == {"path": "~"}
    assert {name for name, text in zipped.items() if "annamaria" in (name + text).lower() or "laptop" in text} == set()


def test_no_word_that_was_said_or_heard_goes_in(tmp_path: Path, make: Make) -> None:
    rows = [
        {"event": "samples", "step": 5, "samples": [{"text": SAID, "heard": HEARD}, SAID]},
        {"event": "metrics", "step": 5, "deep": {"list": [{"base_text": SAID, "tuned_text": HEARD, "transcript": SAID, "loss_text": HEARD}]}},
        {"event": "error", "message": f"no room for {SAID!r}", "text": None},
    ]
    run = make(
        log=f"clip 3: {SAID}\nreport: {HEARD}\n", events="".join(json.dumps(row) + "\n" for row in rows), status=json.dumps({"message": SAID, "text": 1})
    )
    run.clips.write_text(json.dumps({"text": SAID}) + "\n")
    zipped = _zipped(tmp_path, run)
    assert {name for name, text in zipped.items() if "heron" in text or "hair on" in text} == set()
    events = [json.loads(line) for line in zipped["runs/run/events.jsonl"].splitlines()]
    assert events[0] == {"event": "samples", "step": 5, "samples": []}
    assert events[2]["message"] == "no room for '[text]'"
    assert json.loads(zipped["runs/run/status.json"]) == {"message": "[text]", "text": "[text]"}


def test_broken_lines_are_dropped_and_counted(tmp_path: Path, make: Make) -> None:
    lines = ['{"event": "stage", "note": "two\u2028lines"}', '{"event": "sta', "", "[1, 2]", '"loose words"', "[" * 100_000, '{"event": "metrics"}']
    zipped = _zipped(tmp_path, make(events="\n".join(lines), status="{half"))
    assert [json.loads(line)["event"] for line in zipped["runs/run/events.jsonl"].split("\n") if line] == ["stage", "metrics"]
    left_out = json.loads(zipped["doctor.json"])["left_out"]
    assert left_out == {"runs/run/status.json": "broken lines: 1", "runs/run/events.jsonl": "broken lines: 4"}
    assert "runs/run/status.json" not in zipped


def test_a_long_log_keeps_the_whole_lines_of_its_end(tmp_path: Path, make: Make) -> None:
    tail = "x" * 99 + "\n"
    end = tail * 19_999 + "the end\n"
    # The cut falls into the middle of the token, where what is left of it looks like none.
    zipped = _zipped(tmp_path, make(log=f"{tail * 9_000}used {TOKEN}{'y' * (bundle.LOG_BYTES - len(end) - 11)}\n{end}"))
    assert zipped["runs/run/train.log"] == end


def test_links_are_not_followed(tmp_path: Path, make: Make) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    run = make()
    run.log.unlink()
    run.log.symlink_to(tmp_path / "diary.txt")
    zipped = _zipped(tmp_path, run)
    assert "runs/run/train.log" not in zipped
    assert {name for name, text in zipped.items() if "diary" in text} == set()


def test_what_is_not_text_does_no_harm(tmp_path: Path, make: Make) -> None:
    run = make()
    run.log.write_bytes(b"\xff\xfe before \x00 after \n")
    run.events.unlink()
    zipped = _zipped(tmp_path, run)
    assert "after" in zipped["runs/run/train.log"]
    assert "runs/run/events.jsonl" not in zipped


def test_runs_of_one_name_stand_side_by_side(tmp_path: Path, make: Make) -> None:
    zipped = _zipped(tmp_path, make("a/run", settings="seed: 1\n"), make("b/run", settings="seed: 2\n"), make("c/run", settings="seed: 3\n"))
    assert [zipped[f"runs/{name}/settings.yaml"] for name in ("run", "run-2", "run-3")] == ["seed: 1\n", "seed: 2\n", "seed: 3\n"]


def test_nothing_is_overwritten(tmp_path: Path, make: Make) -> None:
    (tmp_path / "bundle.zip").write_text("mine")
    with pytest.raises(InUseError) as caught:
        bundle.write(tmp_path / "bundle.zip", [], [make()])
    assert "--bundle" in caught.value.hint
    assert (tmp_path / "bundle.zip").read_text() == "mine"


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CallError, match="cannot be written"):
        bundle.write(tmp_path / "file" / "bundle.zip", [], [])
