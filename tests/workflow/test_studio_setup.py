"""A run set up on the page: what is chosen is what is told, and what is started, once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.studio import Studio, browser, page, serving
from tests.support.takes import record
from tests.support.waiting import until
from voxtune import settings as settings_files
from voxtune.dataset import recorded
from voxtune.studio import sentences
from voxtune.studio.access import Room
from voxtune.training import opening, runs
from voxtune.training.status import ACTIVE
from voxtune.workspace import RunFolder, Workspace

SUMMARY = "#vx-setup-summary [data-figure={}]"
START = "#vx-setup-start"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio of a person who has recorded twelve sentences."""
    room = Room(Workspace(tmp_path_factory.mktemp("setup") / "voice"))
    sentences.choose(room, "en", "practice")
    room.reading.show()
    record(room.takes, 12)
    recorded.make(room.folder, sources={})
    with serving(room.workspace.path) as studio:
        yield studio
    for run in opening.below(room.workspace.outputs):
        runs.stop(run, grace_s=20)


@pytest.fixture
def studio(served: Studio) -> Studio:
    """That one, on whose page nothing was chosen yet."""
    (served.workspace / ".voxtune" / "training.json").unlink(missing_ok=True)
    return served


def come(shown: Any) -> None:
    """Wait until the step is there and the machine is known."""
    shown.wait_for_selector(SUMMARY.format("memory") + " .mark")
    shown.wait_for_selector(f"{START}:not([disabled])")


def figure(shown: Any, name: str) -> str:
    """What the summary says of one thing."""
    return str(shown.inner_text(SUMMARY.format(name)))


def field(shown: Any, name: str) -> Any:
    """The input of a setting."""
    return shown.locator(f"#vx-setting-{name} input")


def choose(shown: Any, preset: str) -> None:
    """Choose a preset."""
    shown.check(f"#vx-setup-preset input[value={preset}]")


def made(studio: Studio) -> list[RunFolder]:
    """All runs of the workspace."""
    return opening.below(Workspace(studio.workspace).outputs)


def test_a_double_click_starts_one_run_with_the_settings_on_the_page(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        choose(shown, "quick")
        shown.wait_for_function("document.querySelector('#vx-setup-summary').innerText.includes('10 times')")
        shown.click("#vx-setup-advanced button.label-wrap")
        assert field(shown, "epochs").input_value() == "10"
        field(shown, "epochs").fill("0.3")
        shown.wait_for_selector("#vx-setup-preset input[value=custom]:checked")
        assert "0.3 times" in figure(shown, "steps")
        shown.evaluate("document.addEventListener('vx:changed', event => { window.vxTold = [...(window.vxTold ?? []), event.detail.what]; })")
        shown.dblclick(START)
        shown.wait_for_function("window.vxTold?.includes('run')")
        until(lambda: bool(made(studio)))
        shown.click(START)  # and once more while it is at work
        time.sleep(3)
    (run,) = made(studio)
    settings = settings_files.load(run.settings, {})
    assert (settings.epochs, settings.model, settings.method) == (0.3, "tiny", "lora")
    assert settings.data == str(Workspace(studio.workspace).recordings().path)
    assert run.path.parent == Workspace(studio.workspace).outputs
    until(lambda: runs.look(run).state not in ACTIVE, timeout_s=240)
    assert runs.look(run).state == "finished", runs.look(run)


def test_a_preset_fills_the_fields_and_a_field_makes_it_custom(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        shown.click("#vx-setup-advanced button.label-wrap")
        times = []
        for preset in ("quick", "balanced", "thorough"):
            choose(shown, preset)
            shown.wait_for_timeout(700)
            times.append(float(field(shown, "epochs").input_value()))
        assert times == sorted(set(times))
        assert field(shown, "early_stopping").input_value() == "5"
        assert shown.locator("#vx-setup-preset input").count() == 3
        field(shown, "batch_size").fill("2")
        shown.wait_for_selector("#vx-setup-preset input[value=custom]:checked")
        assert "--batch-size 2" in command(shown)
        choose(shown, "quick")
        shown.wait_for_function("document.querySelector('#vx-setting-batch_size input').value === '4'")
        shown.wait_for_function("document.querySelectorAll('#vx-setup-preset input').length === 3")


def command(shown: Any) -> str:
    """The same run as a command, from the page."""
    if not shown.is_visible("#vx-setup-command"):
        shown.click("#vx-setup-elsewhere button.label-wrap")
    shown.wait_for_selector("#vx-setup-command .cm-content")
    shown.wait_for_timeout(700)
    return str(shown.inner_text("#vx-setup-command .cm-content"))


def test_what_cannot_be_is_told_beside_the_button_and_not_started(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        shown.click("#vx-setup-advanced button.label-wrap")
        field(shown, "learning_rate").fill("7")
        shown.wait_for_selector(f"{START}[disabled]")
        shown.wait_for_selector("#vx-setup-checks li.hard[data-code=settings]")
        assert "learning_rate" in shown.inner_text("#vx-setup-checks")
        field(shown, "learning_rate").fill("")
        shown.wait_for_selector(f"{START}:not([disabled])")
        field(shown, "epochs").fill("")
        shown.wait_for_selector(f"{START}[disabled]")
        assert "Passes" in shown.inner_text("#vx-setup-checks")


def test_no_folder_of_this_machine_can_be_named_as_a_model(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        for named in ("/etc", "../..", "<img src=x onerror=alert(1)>/x"):
            field(shown, "model").fill(named)
            field(shown, "model").press("Enter")
            shown.wait_for_function("name => document.querySelector('#vx-setup-checks li.hard')?.innerText.includes(name)", arg=named)
            assert shown.locator("#vx-setup-checks img").count() == 0
            assert not shown.is_enabled(START)


def test_a_model_that_needs_a_gpu_says_so_where_there_is_none(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        field(shown, "model").click()
        shown.get_by_role("option", name="Voxtral Mini 3B").click()
        shown.wait_for_selector("#vx-setup-checks li.hard")
        told = shown.inner_text("#vx-setup-checks")
        assert "NVIDIA GPU" in told or "HF_HUB_OFFLINE" in told
        assert "--model mistralai/Voxtral-Mini-3B-2507" in command(shown)
        assert "9.4 GB" in figure(shown, "disk")


def test_a_reload_loses_no_setting(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        field(shown, "batch_size").fill("3")
        shown.wait_for_selector("#vx-setup-preset input[value=custom]:checked")
        shown.reload()
        come(shown)
        shown.wait_for_selector("#vx-setup-preset input[value=custom]:checked")
        assert field(shown, "batch_size").input_value() == "3"


def test_time_is_measured_on_this_machine_and_forgotten_when_a_setting_changes(studio: Studio) -> None:
    before = len(made(studio))
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        choose(shown, "quick")
        shown.wait_for_timeout(700)
        shown.click("#vx-setup-measure")
        shown.wait_for_function("document.querySelector('#vx-setup-summary').innerText.includes('measured here')", timeout=240_000)
        assert "seconds a step" in figure(shown, "time")
        assert len(made(studio)) == before
        field(shown, "batch_size").fill("2")
        shown.wait_for_function("!document.querySelector('#vx-setup-summary').innerText.includes('measured here')")
        shown.click("#vx-setup-measure")
        shown.wait_for_function("document.querySelector('#vx-setup-summary').innerText.includes('Measuring')")
        field(shown, "batch_size").fill("1")
        shown.wait_for_function("!document.querySelector('#vx-setup-summary').innerText.includes('Measuring')")
        until(lambda: not rehearsals(studio), timeout_s=10)


def rehearsals(studio: Studio) -> list[psutil.Process]:
    """Measurements that the studio has under way."""
    assert studio.process is not None
    children = psutil.Process(studio.process.pid).children(recursive=True)
    return [each for each in children if each.status() != psutil.STATUS_ZOMBIE and "--dry-run" in each.cmdline()]


def test_the_studio_loads_no_torch_and_keeps_no_secret(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="training") as shown:
        come(shown)
        assert studio.process is not None
        loaded = {Path(each.path).name for each in psutil.Process(studio.process.pid).memory_maps()}
    assert not [name for name in loaded if "torch" in name]
    draft = studio.workspace / ".voxtune" / "training.json"
    assert not draft.exists() or "hf_" not in json.dumps(json.loads(draft.read_text()))
