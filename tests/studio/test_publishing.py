"""The publishing step in a real browser, against a Hub that the real client speaks to: dataset alone, and model, card and demo of a run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support.command import Command
from tests.support.command_lines import marked_command_lines
from tests.support.hub import Fault, HubServer
from tests.support.hub.state import Token
from tests.support.studio import Studio, browser, page, serving
from tests.support.takes import record
from tests.support.waiting import until
from voxtune.dataset import recorded
from voxtune.studio import sentences
from voxtune.studio.access import Room
from voxtune.workspace import Workspace

WRITE, READ = "hf_SENTINELofTheWriteToken", "hf_SENTINELofTheReadToken"
RUN = "tiny-lora-first"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """Where alice is signed in with marked tokens; its Spaces really run."""
    with HubServer(tmp_path_factory.mktemp("hub"), run_spaces=True) as server:
        server.tokens[WRITE] = Token("alice", "write")
        server.tokens[READ] = Token("alice", "read", writes=False)
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser(microphone=False) as started:
        yield started


def _recorded(workspace: Path, count: int) -> Room:
    room = Room(Workspace(workspace))
    sentences.choose(room, "en", "pack")
    room.reading.show()
    record(room.takes, count)
    recorded.make(room.folder, sources={})
    return room


@contextmanager
def _signed_in(hub: HubServer, workspace: Path, **more: str) -> Iterator[Studio]:
    environment = {**hub.environment(workspace.parent, token=WRITE), "VOXTUNE_STATE": str(workspace / "state"), **more}
    with serving(workspace, environment=environment) as studio:
        yield studio


def _confirm(shown: Any) -> None:
    shown.get_by_label("My own voice").check()
    assert shown.locator(".vx-publishing-consent [type=submit]").is_disabled(), "the sentence is not ticked yet"
    shown.locator(".vx-publishing-agree input").check()
    shown.click(".vx-publishing-consent [type=submit]")
    shown.wait_for_selector(".vx-publishing-consent[data-given=true]")


def _card(shown: Any, step: str) -> Any:
    return shown.locator(f".vx-publishing-card[data-step={step}]")


def _wait(shown: Any, step: str, *states: str, timeout_s: float = 90) -> None:
    either = ", ".join(f".vx-publishing-card[data-step={step}][data-state={state}]" for state in states)
    shown.wait_for_selector(either, timeout=1000 * timeout_s)
    assert _card(shown, step).get_attribute("data-state") in states, _card(shown, step).inner_text()


def _publish(shown: Any, step: str) -> None:
    _card(shown, step).locator("[type=submit]").click()
    _wait(shown, step, "working", "done", "failed")


def _steps(studio: Studio) -> dict[str, Any]:
    found: dict[str, Any] = studio.call("GET", "publishing").json()["steps"]
    return found


def test_a_dataset_alone_is_published_told_of_and_forgotten(hub: HubServer, chromium: Any, tmp_path: Path) -> None:
    room = _recorded(tmp_path / "work", 6)
    with _signed_in(hub, tmp_path / "work") as studio, page(chromium, studio, step="dataset") as shown:
        shown.click(".vx-dataset-publish")
        shown.wait_for_selector("body[data-vx-step=publishing]")
        shown.wait_for_selector(".vx-publishing-who[data-state=in]")
        assert "alice" in shown.locator(".vx-publishing-name").inner_text()
        assert hub.url.removeprefix("http://") in shown.locator(".vx-publishing-hint").inner_text()

        # Nothing goes before it is said whose voice it is, by whatever way.
        dataset = _card(shown, "dataset")
        assert not dataset.locator("form").is_visible()
        refused = studio.call("POST", "publishing/steps/dataset", json={"repo": "alice/quiet"})
        assert (refused.status_code, "whose voice" in refused.json()["error"]) == (400, True)
        _confirm(shown)
        assert json.loads((room.folder.path / "dataset.json").read_text())["consent"]["by"] == "alice"

        # A name that the Hub would not take, and a public one only with a licence.
        name = dataset.locator("input[type=text]")
        assert name.input_value() == "voice-en"
        for wrong in ("", "a--b", "../x", "-x", "x.git", "a b", "ü", "x" * 95):
            name.fill(wrong)
            assert dataset.locator("[type=submit]").is_disabled(), wrong
        name.fill("my.voice_1")
        assert not dataset.get_by_label("Licence").is_visible()
        dataset.get_by_label("Public").check()
        dataset.get_by_label("Licence").select_option("cc-by-nc-4.0")
        _publish(shown, "dataset")
        _wait(shown, "dataset", "done")

        # It is there, complete and public; the page says where, and says it again after a reload.
        repo = hub.repos[("dataset", "alice/my.voice_1")]
        assert (repo.private, len([path for path in repo.files("main") if path.endswith(".wav")])) == (False, 6)
        assert b"cc-by-nc-4.0" in hub.read("dataset", "alice/my.voice_1", "README.md")
        shown.reload()
        _wait(shown, "dataset", "done")
        link = dataset.locator(".vx-publishing-done a")
        assert (link.get_attribute("href"), link.get_attribute("rel")) == (f"{hub.url}/datasets/alice/my.voice_1", "noopener")
        assert re.search(r"public · revision [0-9a-f]{7} · \w", dataset.locator(".vx-publishing-facts").inner_text())
        assert shown.locator("#vx-step-publishing.done").count() == 1
        assert _card(shown, "model").get_attribute("data-state") == "locked"
        assert "libtorch" not in Path(f"/proc/{studio.process.pid}/maps").read_text()  # type: ignore[union-attr]

        # Again: nothing is sent.
        commits = len(repo.commits)
        dataset.locator("[type=submit]").press("Enter")
        shown.wait_for_selector("[data-step=dataset][data-state=done] .vx-publishing-note:not(:empty)")
        assert shown.evaluate("document.activeElement.closest('.vx-publishing-done') !== null"), "the keyboard is where the news is"
        assert "nothing was sent" in dataset.locator(".vx-publishing-note").inner_text()
        assert len(repo.commits) == commits

        # Forgotten, here and there.
        shown.click(".vx-publishing-forget")
        dialog = shown.locator("dialog.vx-publishing-dialog")
        dialog.get_by_label("published at Hugging Face").check()
        dialog.get_by_text("At Hugging Face: alice/my.voice_1").wait_for()
        assert dialog.locator(".vx-publishing-do").is_disabled()
        dialog.locator("input[type=text]").fill("forget")
        dialog.locator(".vx-publishing-do").click()
        dialog.get_by_role("button", name="Start anew").click(timeout=60_000)
        shown.wait_for_selector("body[data-vx-step=language]")
    assert ("dataset", "alice/my.voice_1") not in hub.repos
    assert list(room.folder.path.rglob("*.wav")) == []


def test_a_fault_is_told_and_a_stop_obeyed_and_both_can_be_tried_again(hub: HubServer, chromium: Any, tmp_path: Path) -> None:
    _recorded(tmp_path / "work", 3)
    with _signed_in(hub, tmp_path / "work") as studio, page(chromium, studio, step="publishing") as shown:
        shown.wait_for_selector(".vx-publishing-who[data-state=in]")
        _confirm(shown)
        dataset = _card(shown, "dataset")
        dataset.locator("input[type=text]").fill("stubborn")
        hub.faults.append(Fault("POST", "/commit/", 403, body={"error": "Not today."}))
        _publish(shown, "dataset")
        _wait(shown, "dataset", "failed")
        said = dataset.locator(".vx-publishing-failure").inner_text()
        assert "Not today." in said
        assert "settings/tokens" in said, "what to do next"
        shown.reload()
        _wait(shown, "dataset", "failed")
        assert dataset.locator("input[type=text]").input_value() == "stubborn", "what was asked for is there to be tried again"

        # Stopped while the Hub is silent, in the middle of it.
        hub.faults.append(Fault("POST", "/commit/", "stall", delay=60))
        _publish(shown, "dataset")
        until(lambda: any(fault.hits for fault in hub.faults if fault.status == "stall"))
        studio.kill()
        studio.start()
        shown.reload()
        _wait(shown, "dataset", "working")  # it went on without the studio
        dataset.locator(".vx-publishing-stop").click()
        _wait(shown, "dataset", "stopped")
        assert _steps(studio)["dataset"]["published"] is None
        hub.faults.clear()
        _publish(shown, "dataset")
        _wait(shown, "dataset", "done")
        assert ("dataset", "alice/stubborn") in hub.repos
        stopped = studio.call("POST", "publishing/steps/dataset/stop", json={})
        assert stopped.json()["steps"]["dataset"]["state"] == "done", "there is nothing left to stop"


def test_the_page_sees_when_somebody_signs_in(hub: HubServer, chromium: Any, tmp_path: Path) -> None:
    _recorded(tmp_path / "work", 3)
    token = tmp_path / "hf" / "token"
    with _signed_in(hub, tmp_path / "work", HF_TOKEN="") as studio, page(chromium, studio, step="publishing") as shown:
        who = shown.locator(".vx-publishing-who")
        shown.wait_for_selector(".vx-publishing-who[data-state=signed_out]")
        assert "hf auth login" in who.inner_text()
        assert who.locator(".vx-publishing-new").get_attribute("href").startswith(hub.url + "/settings/tokens/new")
        assert not shown.locator(".vx-publishing-consent").is_visible()
        refused = studio.call("POST", "publishing/consent", json={"voice": "own"})
        assert (refused.status_code, refused.json()["code"]) == (502, "signed_out")
        for text, state in ((READ, "read"), ("hf_nobodys", "token_refused"), (WRITE, "in")):
            token.parent.mkdir(exist_ok=True)
            token.write_text(text)
            who.locator(".vx-publishing-check").click()
            shown.wait_for_selector(f".vx-publishing-who[data-state={state}]")
            assert shown.locator(".vx-publishing-consent").is_visible() == (state == "in")
        assert "hf auth login" in who.locator(".vx-publishing-hint").inner_text(), "where the token comes from"


def test_offline_is_said_and_what_is_not_asked_for_is_refused(tmp_path: Path) -> None:
    _recorded(tmp_path / "work", 3)
    with serving(tmp_path / "work") as studio:
        assert studio.call("GET", "publishing/account").json()["state"] == "offline"
        assert studio.call("POST", "publishing/consent", json={"voice": "own"}).status_code == 502
        for method, path in (
            ("GET", "publishing"),
            ("GET", "publishing/account"),
            ("GET", "publishing/card?run=x"),
            ("GET", "publishing/forget"),
            ("POST", "publishing/forget"),
            ("POST", "publishing/steps/dataset"),
            ("POST", "publishing/steps/dataset/stop"),
        ):
            assert studio.call(method, path, headers={"X-Vx-Key": "x" * 43}).status_code == 401, path
        assert studio.call("POST", "publishing/forget", json={"runs": True}).status_code == 400, "nobody confirmed it"
        assert studio.call("GET", "publishing/card", params={"run": "../../etc"}).status_code == 400
        for asked in ({"license": "mine"}, {"what": "all"}, {"hardware": "h200"}, {"space_token": "hf_x\nPATH=1"}, {"run": "../x"}):
            assert studio.call("POST", "publishing/steps/model", json={"repo": "alice/x", **asked}).status_code in (400, 502), asked


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with recordings and one finished run on them, which was evaluated."""
    folder = tmp_path_factory.mktemp("trained") / "work"
    room = _recorded(folder, 12)
    voxtune = Command(folder, {"TRACKIO_DIR": str(folder / "trackio"), "VOXTUNE_STATE": str(folder / "state"), "HF_HUB_OFFLINE": "1"})
    quick = ("--model", "tiny", "--epochs", 2, "--batch-size", 4, "--train-tower-layers", 1, "--no-trackio")
    for words in (("train", "--data", room.folder.path, *quick, "--output", f"outputs/{RUN}"), ("evaluate", f"outputs/{RUN}")):
        done = voxtune(*words, "--json")
        assert done.code == 0, done.err
    return folder


def test_model_card_and_demo_of_a_run_and_no_word_of_the_tokens(hub: HubServer, chromium: Any, trained: Path) -> None:
    run = trained / "outputs" / RUN
    with _signed_in(hub, trained) as studio, marked_command_lines(b"SENTINEL") as lines, page(chromium, studio, step="evaluation") as shown:
        shown.click(".vx-evaluation-publish")
        shown.wait_for_selector(".vx-publishing-who[data-state=in]")
        _confirm(shown)

        # The card can be looked at before anything is sent, as text and links and nothing else.
        card = _card(shown, "card")
        card.locator(".vx-publishing-look").click()
        text = card.get_by_role("region", name="Text of the model card")
        text.locator("h4").wait_for()
        assert "WER" in text.locator("table").first.inner_text()
        hostile = "# <img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) [b](https://c.d) <b>c</b> \\*d\\*"
        read = """([file, text]) => import(new URL(file, document.baseURI)).then(({read}) => {
            const place = document.createElement('div');
            place.append(read(text).body);
            return place.innerHTML;
        })"""
        made = shown.evaluate(read, [_static(studio, "publishing-reader.js"), hostile])
        assert "<img" not in made
        assert "<b>" not in made
        assert re.findall(r'href="([^"]*)"', made) == ["https://c.d"]
        assert "*d*" in made

        # A double click starts once, and a reload in the middle of it finds it at work.
        _card(shown, "model").locator("[type=submit]").dblclick()
        _wait(shown, "model", "working")
        assert _card(shown, "model").get_by_role("progressbar").count() == 1
        shown.reload()
        _wait(shown, "model", "working", "done")
        _wait(shown, "model", "done")
        files = hub.repos[("model", "alice/voxtral-tiny-en")].files("main")
        assert {"README.md", "config.json", "model.safetensors"} <= set(files)
        assert hub.repos[("model", "alice/voxtral-tiny-en")].private
        assert len([call for call in hub.calls if call.method == "POST" and "/models/alice/voxtral-tiny-en/commit/" in call.path]) == 1
        assert "Sent with the model" in card.inner_text()

        # The card by itself: nothing in it has changed.
        _publish(shown, "card")
        _wait(shown, "card", "done")
        assert "nothing was sent" in card.inner_text()

        # The demo of a private model asks for a token, and never shows it again.
        space = _card(shown, "space")
        assert space.get_by_label("Runs on").input_value() == "cpu-basic"
        assert "free" in space.get_by_label("Runs on").locator("option:checked").inner_text()
        assert space.locator("[type=submit]").is_disabled()
        space.locator("input[type=password]").fill(READ)
        _publish(shown, "space")
        assert READ not in shown.content()
        assert space.locator("input[type=password]").input_value() == ""
        refused = studio.call("POST", "publishing/steps/card", json={"run": RUN})
        assert (refused.status_code, "something else" in refused.json()["error"]) == (409, True)

        _wait(shown, "space", "done", timeout_s=180)
        assert "your model that listens" in space.inner_text()
        assert hub.repos[("space", "alice/voxtral-tiny-en-demo")].secrets["HF_TOKEN"]["value"] == READ

        _fits_everyone(shown)
        config = httpx2.get(studio.url + "config").text
        assert [token for token in (WRITE, READ) if token in shown.content() + config + studio.call("GET", "publishing").text] == []
        assert "SENTINEL" not in shown.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert lines == set()
    kept = [file for file in trained.rglob("*") if file.is_file() and b"SENTINEL" in file.read_bytes()]
    assert kept == []
    assert {path.name for path in run.glob("publishing-*.log")} == {"publishing-model.log", "publishing-card.log", "publishing-space.log"}


def _static(studio: Studio, name: str) -> str:
    found = re.search(r"vx/static/[0-9a-f]{12}/", httpx2.get(studio.url + "config").text)
    assert found is not None
    return found.group() + name


def _fits_everyone(shown: Any) -> None:
    """At once, with all that the step can show: no serious finding of axe, light and dark, and on a phone nothing too wide or too small."""
    for details in shown.locator(".vx-publishing details").all():
        details.evaluate("each => { each.open = true; }")
    for scheme, width in (("light", 1280), ("dark", 375)):
        shown.emulate_media(color_scheme=scheme)
        shown.set_viewport_size({"width": width, "height": 900})
        shown.evaluate("scheme => document.body.classList.toggle('dark', scheme === 'dark')", scheme)
        shown.wait_for_timeout(400)
        found = [each for each in Axe().run(shown).response["violations"] if each["impact"] in ("serious", "critical")]
        assert [(each["id"], node["html"][:160]) for each in found for node in each["nodes"]] == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= 375
    small = """[...document.querySelectorAll('.vx-publishing :is(button, select, summary, input[type=text], input[type=password])')]
        .filter(each => each.checkVisibility()).map(each => [each.getBoundingClientRect(), each])
        .filter(([box]) => box.width && (box.height < 43.5 || box.width < 43.5)).map(([box, each]) => each.outerHTML.slice(0, 120) + box.height)"""
    assert shown.evaluate(small) == []


def test_on_a_space_each_visitor_publishes_with_a_sign_in_of_their_own(hub: HubServer, chromium: Any, tmp_path: Path) -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("authlib", reason="gradio[oauth], which Spaces have")
    owners = "hf_SENTINELofWhoeverOwnsTheSpace"
    hub.tokens[owners] = Token("bob", "write")
    sign_in = {"SPACE_ID": "bob/studio", "SYSTEM": "spaces", "OPENID_PROVIDER_URL": hub.url, "OAUTH_CLIENT_ID": "studio", "OAUTH_CLIENT_SECRET": "s" * 32}
    before = len(hub.calls)
    with _signed_in(hub, tmp_path / "work", HF_TOKEN=owners, OAUTH_SCOPES="openid profile write-repos", **sign_in) as studio:
        context = chromium.new_context(locale="en-US")
        shown = context.new_page()
        shown.goto(studio.url)
        shown.wait_for_selector("body[data-vx-step]")
        shown.wait_for_function("localStorage.getItem('vx-key')")
        (room,) = _visitors(studio, shown)
        _recorded(room, 3)
        shown.goto(studio.url + "#publishing")
        shown.reload()
        shown.wait_for_selector(".vx-publishing-who[data-state=signed_out]")
        ask = """path => fetch(path, {method: 'POST', headers: {'X-Vx-Key': localStorage.getItem('vx-key')}, body: '{"voice": "own", "repo": "bob/x"}'})
            .then(answer => answer.json())"""
        for path in ("vx/publishing/consent", "vx/publishing/steps/dataset"):
            assert shown.evaluate(ask, path)["code"] == "signed_out", "the owner's token counts for nobody"
        shown.click(".vx-publishing-login")
        shown.wait_for_selector(".vx-publishing-who[data-state=in]")
        assert "alice" in shown.locator(".vx-publishing-name").inner_text()
        _confirm(shown)
        _card(shown, "dataset").locator("input[type=text]").fill("from-a-space")
        _publish(shown, "dataset")
        _wait(shown, "dataset", "done")
        shown.click(".vx-publishing-logout")
        shown.wait_for_selector(".vx-publishing-who[data-state=signed_out]")
        context.close()
    assert ("dataset", "alice/from-a-space") in hub.repos
    tokens = {call.token for call in hub.calls[before:] if call.token and call.token.startswith("hf_")}
    assert len(tokens) == 1
    assert tokens.pop().startswith("hf_oauth_")
    assert [file for file in tmp_path.rglob("*") if file.is_file() and (b"hf_oauth_" in file.read_bytes() or b"SENTINEL" in file.read_bytes())] == []


def _visitors(studio: Studio, shown: Any) -> list[Path]:
    """The folder of the one visitor there is, as the studio made it from the key in their browser."""
    from voxtune.studio.access import Gate

    return [Gate(studio.workspace, shared=True).room(shown.evaluate("localStorage.getItem('vx-key')")).workspace.path]
