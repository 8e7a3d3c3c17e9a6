"""The whole way as a person goes it: language, own sentences, microphone, dataset, training, and the error rate before and after."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.studio import browser, page, serving
from tests.support.voice import likeness, write_voice
from tests.support.waiting import until
from voxtune.studio.access import Room
from voxtune.workspace import Workspace

NUM_SENTENCES = 10
MODE = "document.querySelector('.vx-recorder').dataset.mode"


def test_from_language_to_a_tuned_model_and_its_error_rate(tmp_path: Path) -> None:
    voice = tmp_path / "voice.wav"
    said = write_voice(voice, NUM_SENTENCES, lead_s=6.0, gap_s=3.2)
    room = Room(Workspace(tmp_path / "work"))
    with serving(tmp_path / "work") as studio, browser(sound=voice) as chromium, page(chromium, studio) as shown:
        # Language and sentences: English is chosen already; the sentences are the person's own.
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
        shown.get_by_label("My own sentences").check()
        shown.fill("#vx-own-lines textarea", "\n".join(each.text for each in said))
        shown.click("#vx-own-use")
        shown.wait_for_function("text => document.querySelector('#vx-preview li')?.textContent === text", arg=said[0].text)
        shown.click("#vx-phrases-next")
        shown.wait_for_selector(".vx-recorder-rows > li")

        # Recordings: each sentence while it is played, and a look at every step whether it is the right one.
        shown.locator(".vx-recorder-advance input").uncheck()
        shown.click(".vx-recorder-record")
        shown.wait_for_function(f"{MODE} === 'ready'")
        began = time.monotonic()
        for number, each in enumerate(said):
            assert shown.locator(".vx-recorder-phrase").inner_text() == each.text
            _wait(shown, began + each.start_s - 1.2)
            shown.keyboard.press("Space")
            _wait(shown, began + each.end_s + 0.9)
            shown.keyboard.press("Space")
            until(lambda number=number: len(room.takes.all()) == number + 1)  # type: ignore[misc]
            shown.keyboard.press("ArrowDown")
        takes = list(room.takes.all().values())
        assert [take.text for take in takes] == [each.text for each in said]
        scores = [likeness(room.takes.path(take), voice, each.start_s)[0] for take, each in zip(takes, said, strict=True)]
        assert sorted(scores)[2] > 0.99, "Chromium's fake device drops blocks on a busy machine, but not in most takes"
        shown.reload()
        shown.wait_for_selector(".vx-recorder-rows > li[data-state=good], .vx-recorder-rows > li[data-state=advice]")
        assert shown.locator(".vx-recorder-rows > li:not([data-state=todo])").count() == NUM_SENTENCES

        # Dataset.
        shown.click("#vx-recordings-next")
        shown.wait_for_selector("#panel-dataset", state="visible")
        shown.click(".vx-dataset-make")
        shown.wait_for_selector("#vx-dataset-next:not([disabled])")
        shown.click("#vx-dataset-next")

        # Training: the page is closed and opened again while it goes.
        shown.wait_for_selector("#vx-setup-start:not([disabled])")
        shown.locator("#vx-setup-preset input[value=quick]").check()
        shown.wait_for_function("document.querySelector('#vx-setup-summary [data-figure=steps]')?.textContent.match(/\\d/)")
        shown.wait_for_selector("#vx-setup-start:not([disabled])")
        shown.dblclick("#vx-setup-start")
        shown.wait_for_selector(".vx-run[data-state=queued], .vx-run[data-state=running]")
        shown.reload()
        shown.wait_for_selector(".vx-run[data-state=running], .vx-run[data-state=finished]", timeout=60_000)
        shown.wait_for_selector(".vx-run[data-state=finished]", timeout=240_000)
        assert len(list((tmp_path / "work" / "outputs").iterdir())) == 1, "a double click starts one run"

        # Evaluation starts by itself.
        shown.click("#vx-step-evaluation")
        shown.wait_for_selector(".vx-evaluation-verdict[data-kind]", timeout=120_000)
        words = shown.locator("#panel-evaluation").inner_text()
        assert "WER" in words
        assert "%" in words
        report = next((tmp_path / "work" / "outputs").glob("*/report.json"))
        assert report.is_file()

        # And both models listen to a sentence that is spoken now.
        shown.locator("#vx-listen-audio").get_by_label("Upload file").click()
        shown.locator("#vx-listen-audio input[type=file]").set_input_files(room.takes.path(takes[0]))
        shown.wait_for_selector("#vx-listen-audio .play-pause-button")
        shown.click("#vx-listen-ask")
        shown.wait_for_selector("#vx-listen-heard .cards", timeout=90_000)


def _wait(shown: Any, moment: float) -> None:
    shown.wait_for_timeout(max(0.0, 1000 * (moment - time.monotonic())))


@pytest.mark.parametrize("step", ["phrases", "recordings", "dataset", "training"])
def test_a_server_killed_at_any_step_comes_back_to_it(tmp_path: Path, step: str) -> None:
    from tests.support.takes import record
    from voxtune.dataset import recorded
    from voxtune.studio import sentences

    room = Room(Workspace(tmp_path / "work"))
    sentences.choose(room, "en", "pack")
    room.reading.show()
    record(room.takes, 6)
    recorded.make(room.folder, sources={})
    before = {path.name: path.read_bytes() for path in room.folder.path.rglob("*") if path.is_file()}
    with serving(tmp_path / "work") as studio, browser() as chromium, page(chromium, studio, step=step) as shown:
        shown.wait_for_selector(f"#panel-{step} h2", state="visible")
        for part in ("recorder", "dataset", "run", "evaluation", "publishing"):  # one that is on its way when the server dies is told of as a failure
            shown.wait_for_selector(f".vx-{part}", state="attached")
        studio.kill()
        studio.start()
        shown.reload()
        shown.wait_for_selector(f"body[data-vx-step={step}]")
        shown.wait_for_selector(f"#panel-{step} h2", state="visible")
    after = {path.name: path.read_bytes() for path in room.folder.path.rglob("*") if path.is_file()}
    assert {name: after.get(name) for name in before} == before
