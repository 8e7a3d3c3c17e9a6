"""`voxtune deploy`: the app of the demo really started on a published model, spoken to, and found out where it serves something else."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile
import yaml
from axe_playwright_python.sync_playwright import Axe
from safetensors.torch import load_file, save_file

from tests.hub.trained import BASE, Practice
from tests.support.command import Command
from tests.support.hub import Fault
from tests.support.hub.state import Token
from tests.support.studio import browser
from tests.support.waiting import until
from voxtune import audio

FILES = {"README.md", "app.py", "app.css", "serving.py", "sound.py", "demo.json", "requirements.txt"}
VARIABLE = "VOXTUNE_SPACE_TOKEN"


@dataclass(frozen=True)
class Demo:
    """A Space that serves the adapter of `run`, deployed by a command that was stopped on its way, and by a second one."""

    practice: Practice
    voxtune: Command
    run: Path
    stopped: str
    commits: int
    """After the first one."""
    told: dict[str, Any]

    @property
    def space(self) -> Any:
        return self.practice.hub.repos["space", "alice/demo"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What base and tuned model heard here in each clip that was held out."""
        clips: list[dict[str, Any]] = self.practice.report["clips"]
        return clips

    def deploy(self, *more: object) -> dict[str, Any]:
        done = self.voxtune("deploy", self.run.name, "demo", "--yes", "--json", *more)
        assert done.code == 0, done.err
        return dict(done.json)

    def stage(self) -> str:
        return str(self.practice.hub.state.spaces.runtime(self.space)["stage"])

    def log(self) -> str:
        return self.practice.hub.state.spaces.log(self.space, build=False)[0]

    def commit(self, path: str, old: str, new: str) -> None:
        """Somebody else changes a file of the Space, which starts it again."""
        text = self.practice.hub.read("space", "alice/demo", path).decode()
        assert old in text
        file = self.run.parent / "changed"
        file.write_text(text.replace(old, new))
        self.practice.python(
            "import sys\nfrom huggingface_hub import HfApi\n"
            "HfApi().upload_file(path_or_fileobj=sys.argv[1], path_in_repo=sys.argv[2], repo_id='alice/demo', repo_type='space')",
            *(file, path),
        )


def _with_token(voxtune: Command, token: str) -> Command:
    return replace(voxtune, environment={**voxtune.environment, VARIABLE: token})


def _published(practice: Practice, run: Path, repo: str, *more: object) -> None:
    done = practice.voxtune("push", "model", run.name, repo, "--voice", "synthetic", "--yes", *more)
    assert done.code == 0, done.err


def _record(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "published.json").read_text()))


@pytest.fixture(scope="module")
def demo(practice: Practice) -> Iterator[Demo]:
    run = practice.copy("spoken-for")
    _published(practice, run, "demo-voice")
    voxtune = _with_token(practice.voxtune, "hf_read")
    first = replace(voxtune, environment={**voxtune.environment, "VOXTUNE_PROGRESS": "lines"}).start("deploy", run.name, "demo", "--yes", "--json")
    assert first.stderr is not None
    for line in first.stderr:
        if "the Space is starting" in line:
            first.send_signal(signal.SIGINT)
            break
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out) == (130, "")
    commits = len(practice.hub.repos["space", "alice/demo"].commits)
    second = voxtune("deploy", run.name, "demo", "--yes", "--json")
    assert second.code == 0, second.err
    yield Demo(practice, voxtune, run, err, commits, second.json)
    practice.hub.state.spaces.gone(practice.hub.repos["space", "alice/demo"])


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "has no token to read it with"),
        ("hf_write", "may write"),
        ("hf_fine", "may write (discussion.write, repo.write)"),
        ("hf_oauth", "may write"),
        ("hf_nobodys", "does not know"),
        ("hf_bob_reads", "may not read alice/token-voice"),
    ],
)
def test_a_private_model_needs_a_token_that_can_only_read_it(practice: Practice, token: str | None, said: str) -> None:
    if ("model", "alice/token-voice") not in practice.hub.repos:
        _published(practice, practice.copy("token"), "token-voice")
    practice.hub.tokens["hf_bob_reads"] = Token("bob", "read", writes=False)
    voxtune = practice.voxtune if token is None else _with_token(practice.voxtune, token)
    err = voxtune.refused("deploy", "token", "never", "--yes", "--json", code=2)
    assert said in err
    assert "huggingface.co/settings/tokens" in err
    assert token is None or token not in err
    assert ("space", "alice/never") not in practice.hub.repos


def test_nothing_is_deployed_of_a_run_that_is_not_published_as_it_is(practice: Practice) -> None:
    run = practice.copy("unpublished")
    assert "voxtune push model" in practice.voxtune.refused("deploy", "unpublished", "never", "--yes", code=2)
    assert "--yes" in practice.voxtune.refused("deploy", "unpublished", "never", code=2)
    _published(practice, run, "moved-on", "--public")
    shutil.copyfile(practice.full / "model" / "model.safetensors", run / "model" / "adapter_model.safetensors")
    assert "trained further" in practice.voxtune.refused("deploy", "unpublished", "never", "--yes", code=2)
    shutil.copyfile(practice.run / "model" / "adapter_model.safetensors", run / "model" / "adapter_model.safetensors")
    practice.hub.repos.pop(("model", "alice/moved-on"))
    assert "any more" in practice.voxtune.refused("deploy", "unpublished", "never", "--yes", code=1)
    assert ("space", "alice/never") not in practice.hub.repos


def test_who_stops_waiting_leaves_a_whole_space_and_the_next_one_sends_nothing(demo: Demo) -> None:
    assert "goes on building; deploy again" in demo.stopped
    assert demo.told["sent"] == []
    assert len(demo.space.commits) == demo.commits
    checked = demo.told["verification"]
    assert checked["state"] == "verified"
    telling = {row["tuned_text"]: row["base_text"] for row in demo.rows}
    assert telling[checked["heard"]] == checked["base_text"] != checked["heard"]
    assert _record(demo.run)["space"] == {name: value for name, value in demo.told.items() if name != "seconds"}


def test_the_space_is_private_and_holds_only_what_it_needs(demo: Demo) -> None:
    assert demo.space.private
    assert set(demo.space.files("main")) == {*FILES, ".gitattributes"}
    assert {name: row["value"] for name, row in demo.space.secrets.items()} == {"HF_TOKEN": "hf_read"}
    assert [commit.title for commit in demo.space.history()][:-1] == ["Deploy a demo with voxtune"]
    made = next(call for call in demo.practice.hub.calls if call.path == "/api/repos/create" and json.loads(call.body)["name"] == "demo")
    assert b'"private"' in made.body
    assert b"hf_read" in made.body, "the secret is there before the first file"
    kept = [demo.practice.hub.read("space", "alice/demo", path) for path in FILES] + [(demo.run / "published.json").read_bytes(), demo.stopped.encode()]
    assert not [text for text in kept if re.search(rb"hf_(read|write)|/tmp|/home|/root", text)]


def test_its_settings_and_versions_are_pinned(demo: Demo) -> None:
    head = yaml.safe_load(demo.practice.hub.read("space", "alice/demo", "README.md").decode().split("---")[1])
    wanted = {"sdk": "gradio", "sdk_version": metadata.version("gradio"), "python_version": "3.12", "app_file": "app.py", "title": "Demo voice"}
    wanted |= {"models": ["alice/demo-voice", BASE], "suggested_hardware": "cpu-basic", "license": "apache-2.0"}
    assert wanted.items() <= head.items()
    assert {"voxtune", "voxtral"} <= set(head["tags"])
    assert len(head["short_description"]) <= 60
    pins = dict(line.split("==") for line in demo.practice.hub.read("space", "alice/demo", "requirements.txt").decode().splitlines())
    assert {name: metadata.version(name).split("+")[0] for name in pins} == pins
    assert {"torch", "transformers", "peft", "mistral-common", "soundfile"} <= set(pins)
    served = json.loads(demo.practice.hub.read("space", "alice/demo", "demo.json"))
    assert (served["model"], served["revision"]) == ("alice/demo-voice", _record(demo.run)["model"]["revision"])
    assert (served["base"], served["base_revision"]) == (BASE, demo.practice.base_revision)


_ASK = """
import json, os, sys
from gradio_client import Client, handle_file
client = Client(sys.argv[1], token=os.environ["HF_TOKEN"], verbose=False)
for file, language, compare in json.loads(sys.argv[2]):
    try:
        said = client.predict(audio=file and handle_file(file), language=language, compare=compare, api_name="/transcribe")
    except Exception as error:
        said = str(error)
    print(json.dumps(said))
"""


def _asked(practice: Practice, address: str, questions: list[tuple[Path | str | None, str, bool]]) -> list[Any]:
    said = practice.python(_ASK, address, json.dumps([(file and str(file), language, compare) for file, language, compare in questions]))
    return [json.loads(line) for line in said.splitlines()]


def test_it_hears_what_is_heard_here(demo: Demo, tmp_path: Path) -> None:
    """Every held-out clip by both models, and a long recording whose language it has to find out, word for word."""
    long = tmp_path / "long.flac"
    clips = [Path(row["audio_path"]) for row in demo.rows]
    pause = np.zeros(12_000, np.float32)
    soundfile.write(long, np.concatenate([part for clip in clips * 3 for part in (audio.read(clip), pause)]), 16_000)
    done = demo.voxtune("transcribe", long, "--model", demo.run, "--json")
    assert done.code == 0, done.err
    here = done.json[0]["text"]
    assert len(here.split()) > 40
    questions: list[tuple[Path | str | None, str, bool]] = [(clip, "en", True) for clip in clips]
    said = _asked(demo.practice, demo.told["address"], [*questions, (long, "", False)])
    assert said == [*([row["tuned_text"], row["base_text"]] for row in demo.rows), [here, ""]]


def test_what_it_cannot_hear_is_told_in_words(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "page.wav").write_text("#EXTM3U\nhttp://127.0.0.1/other.wav\n")
    soundfile.write(tmp_path / "hour.flac", 0.1 * np.sin(np.arange(8_000 * 601) / 9), 8_000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    clip = Path(demo.rows[0]["audio_path"])
    questions = [(None, "en", False), (tmp_path / "page.wav", "en", False), (tmp_path / "hour.flac", "en", False), (tmp_path / "silent.wav", "en", False)]
    nothing, page, hour, silent, auto = _asked(demo.practice, demo.told["address"], [*questions, (clip, "auto", False)])
    assert "Record something" in nothing
    assert "cannot be read as sound" in page
    assert "longer than 10 minutes" in hour
    assert "no sound in this recording" in silent
    assert "auto" in auto
    assert "choices" in auto


def test_a_stranger_is_not_let_in(demo: Demo) -> None:
    assert httpx2.get(demo.told["address"]).status_code == 404


def test_in_a_browser_on_a_desk_and_on_a_phone(demo: Demo) -> None:
    hub = demo.practice.hub
    signed = httpx2.get(f"{hub.url}/api/spaces/alice/demo/jwt", headers={"Authorization": "Bearer hf_write"}).json()["token"]
    row = max(demo.rows, key=lambda row: row["base_wer"] - row["tuned_wer"])
    elsewhere: list[str] = []
    with browser() as chromium:
        for width, scheme in ((1280, "light"), (375, "dark")):
            context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page = context.new_page()
            page.on("request", lambda request: elsewhere.append(request.url) if not re.match(r"data:|blob:|http://127\.0\.0\.1", request.url) else None)
            page.goto(f"{demo.told['address']}/?__sign={signed}")
            page.get_by_role("heading", name="Demo voice").wait_for()
            assert f"On {len(demo.rows)} recordings that it was not trained on, it hears this voice better" in page.inner_text(".head")
            page.get_by_label("Upload file").click()
            page.set_input_files("input[type=file]", row["audio_path"])
            page.get_by_test_id("waveform-Recording").get_by_label("Play", exact=False).first.wait_for()
            page.get_by_role("button", name="Transcribe").focus()
            page.keyboard.press("Enter")
            page.wait_for_function("text => document.querySelector('.tuned textarea').value === text", arg=row["tuned_text"])
            assert page.get_by_role("textbox", name="What the base model hears").input_value() == row["base_text"]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            bad = [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
            assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in bad] == []
            page.get_by_label("Compare with the base model").uncheck()
            page.get_by_role("textbox", name="What the base model hears").wait_for(state="hidden")
            context.close()
    assert elsewhere == []


def test_a_space_that_cannot_be_built_is_told(demo: Demo) -> None:
    hub = demo.practice.hub
    broken = {"stage": "BUILD_ERROR", "errorMessage": "No matching distribution found for torch", "hardware": {"current": None, "requested": "cpu-basic"}}
    failing = [Fault(method, rf"/api/spaces/alice/demo/{what}", 200, times=None, body=broken) for method, what in (("GET", "runtime"), ("POST", "restart"))]
    failing.append(Fault("GET", r"/logs/build", 404, times=None))
    hub.faults.extend(failing)
    try:
        err = demo.voxtune.refused("deploy", demo.run.name, "demo", "--yes", code=1)
    finally:
        for fault in failing:
            hub.faults.remove(fault)
    assert "could not be built" in err
    assert "No matching distribution found for torch" in err
    assert "?logs=build" in err


def test_a_sleeping_space_is_woken_and_a_paused_one_told(demo: Demo) -> None:
    machine = demo.practice.hub.state.spaces.machine(demo.space)
    machine.stop("PAUSED")
    assert "complete, and paused" in demo.voxtune.refused("deploy", demo.run.name, "demo", "--yes", code=1)
    machine.stop("SLEEPING")
    err = demo.voxtune.refused("deploy", demo.run.name, "demo", "--yes", "--wait", 0.2, code=1)
    assert "not running yet" in err
    assert "deploy again" in err
    told = demo.deploy()
    assert (told["sent"], told["verification"]["state"]) == ([], "verified")


_VERIFY = """
import json, sys
from pathlib import Path
from voxtune.publishing import run_record, space_check
from voxtune.workspace import RunFolder
run = RunFolder(Path(sys.argv[1]))
found = space_check.probes(run, run_record.read(run))
print(json.dumps(space_check.verify("alice/demo", found, is_private=True, run=run, say=lambda *_: None).as_json()))
"""


def test_a_space_that_serves_something_else_is_found_out_and_mended(demo: Demo) -> None:
    """First one that answers as the base does, then one whose weights are not those that were published."""
    demo.commit(
        "serving.py", "    tuned = _generate(MODEL, pieces, language)", "    with MODEL.disable_adapter():\n        tuned = _generate(MODEL, pieces, language)"
    )
    until(lambda: demo.stage() == "RUNNING")
    found = json.loads(demo.practice.python(_VERIFY, demo.run))
    assert found["state"] == "base"
    assert found["heard"] == found["base_text"] != found["tuned_text"]
    assert "serves the base model" in found["reason"]

    published = _record(demo.run)["model"]["sha256"]["adapter_model.safetensors"]
    demo.commit("demo.json", published, "0" * 64)
    until(lambda: demo.stage() == "RUNTIME_ERROR")
    assert "is not the file that was published" in demo.log()
    told = demo.deploy()
    assert told["sent"] == ["demo.json", "serving.py"]
    assert told["verification"]["state"] == "verified"


def test_a_report_of_another_model_does_not_pass(demo: Demo) -> None:
    """The Space hears what the report says of the base: from where the report stands, it serves the base."""
    file = demo.run / "report.json"
    before = file.read_text()
    report = json.loads(before)
    for row in report["clips"]:
        row["base_text"], row["tuned_text"] = row["tuned_text"], row["base_text"]
    file.write_text(json.dumps(report))
    try:
        err = demo.voxtune.refused("deploy", demo.run.name, "demo", "--yes", code=1)
    finally:
        file.write_text(before)
    assert "the Space serves the base model" in err
    assert _record(demo.run)["space"]["verification"]["state"] == "base"


def test_an_adapter_without_effect_does_not_start(practice: Practice) -> None:
    run = practice.copy("without-effect")
    weights = run / "model" / "adapter_model.safetensors"
    save_file({name: weight * 0 for name, weight in load_file(weights).items()}, weights, metadata={"format": "pt"})
    _published(practice, run, "without-effect", "--public")
    err = practice.voxtune.refused("deploy", run.name, "without-effect", "--yes", code=1)
    assert "its app ended" in err
    assert "the adapter changes nothing: this would be the base model" in err
    assert practice.hub.repos["space", "alice/without-effect"].private
    assert _record(run)["space"]["verification"] is None
    practice.hub.state.spaces.gone(practice.hub.repos["space", "alice/without-effect"])


def test_whole_weights_are_served_beside_their_base_and_stay_private_unseen(practice: Practice) -> None:
    """A run that was not evaluated: nothing tells that it serves that model, so it is not made public. The base is that of its day."""
    run = practice.run.with_name("whole")
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(practice.full, run, ignore=shutil.ignore_patterns("published.json", ".*"))
    _published(practice, run, "whole-voice", "--public")
    done = practice.voxtune("deploy", run.name, "whole", "--public", "--yes", "--json")
    assert done.code == 0, done.err
    checked = done.json["verification"]
    assert (checked["state"], checked["heard"]) == ("not_verifiable", None)
    assert "was not evaluated" in checked["reason"]
    space = practice.hub.repos["space", "alice/whole"]
    assert (space.private, done.json["private"], space.secrets) == (True, True, {})
    assert httpx2.get(done.json["address"]).status_code in (401, 404)
    rows = practice.report["clips"]
    done_here = practice.voxtune("transcribe", *(row["audio_path"] for row in rows), "--model", run, "--language", "en", "--json")
    assert done_here.code == 0, done_here.err
    here = {each["audio_path"]: each["text"] for each in done_here.json}
    said = _asked(practice, done.json["address"], [(row["audio_path"], "en", True) for row in rows])
    assert said == [[here[row["audio_path"]], row["base_text"]] for row in rows]
    practice.hub.state.spaces.gone(space)
