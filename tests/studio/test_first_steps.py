"""From an empty folder to the first sentence on the screen, as a person gets there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.studio import Studio, browser, page, serving
from voxtune.studio.page import STEPS


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with serving(tmp_path / "voice") as served:
        yield served


def test_english_is_there_at_once_and_three_clicks_lead_to_a_sentence(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio) as shown:
        assert "English" in shown.locator("#vx-language input").input_value()
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
        assert shown.locator("#vx-preview li").count() == 10
        shown.click("#vx-phrases-next")
        shown.wait_for_selector("#panel-recordings", state="visible")
        reading = studio.call("GET", "reading?show=1").json()
    assert reading["language"] == "en"
    assert len(reading["rows"]) == 10


@pytest.mark.parametrize(("typed", "code"), [("Deutsch", "de"), ("german", "de"), ("Українська", "uk"), ("hindi", "hi")])
def test_a_language_is_found_by_typing_either_name(studio: Studio, typed: str, code: str) -> None:
    with browser() as chromium, page(chromium, studio) as shown:
        field = shown.locator("#vx-language input")
        field.click()
        field.fill(typed)
        shown.keyboard.press("Enter")
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
    assert studio.call("GET", "reading?show=1").json()["language"] == code


def _open(shown: Any) -> list[str]:
    return [step for step in STEPS if shown.locator(f"#vx-step-{step}").is_enabled()]


def test_steps_open_as_their_needs_are_met(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio) as shown:
        assert _open(shown) == ["language"]
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
        assert _open(shown) == ["language", "phrases", "recordings"]


def test_ones_own_sentences_are_read_in_their_own_order(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio) as shown:
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
        shown.get_by_label("My own sentences").check()
        shown.fill("#vx-own-lines textarea", "Give her ten milligrams of apixaban.\n\nThe stent sits well.\nThe stent sits well.")
        shown.click("#vx-own-use")
        shown.wait_for_function("document.querySelectorAll('#vx-preview li').length === 2")
        shown.click("#vx-phrases-next")
        shown.wait_for_selector("#panel-recordings", state="visible")
    assert [row["text"] for row in studio.call("GET", "reading?show=1").json()["rows"]] == ["Give her ten milligrams of apixaban.", "The stent sits well."]


def test_the_page_speaks_the_browsers_language(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, locale="de-DE") as shown:
        assert "Deutsch" in shown.locator("#vx-language input").input_value()
        assert shown.locator("#vx-step-language span").inner_text() == "Sprache"
        assert shown.locator("#vx-language-next").inner_text() == "Weiter"


def test_a_reload_comes_back_to_the_same_step(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio) as shown:
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
        shown.reload()
        shown.wait_for_selector("body[data-vx-step=phrases]")
        shown.wait_for_selector("#vx-preview li")
        assert shown.locator("#vx-preview li").count() == 10


def test_an_open_page_goes_on_after_the_program_was_started_anew(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio) as shown:
        studio.kill()
        studio.start()
        shown.locator("#vx-language input").click()
        shown.locator("#vx-language input").fill("Deutsch")
        shown.keyboard.press("Enter")
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
        shown.get_by_label("My own sentences").check()
        shown.fill("#vx-own-lines textarea", "Eins ist genug.")
        shown.click("#vx-own-use")
        shown.wait_for_function("document.querySelectorAll('#vx-preview li').length === 1")
    assert studio.call("GET", "reading?show=1").json()["rows"][0]["text"] == "Eins ist genug."


def test_ones_own_sentences_are_there_again_after_another_choice_and_a_reload(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio) as shown:
        shown.click("#vx-language-next")
        shown.wait_for_selector("#vx-preview li")
        shown.get_by_label("My own sentences").check()
        shown.fill("#vx-own-lines textarea", "The stent sits well.\nGive her ten milligrams.")
        shown.click("#vx-own-use")
        shown.wait_for_function("document.querySelectorAll('#vx-preview li').length === 2")
        shown.get_by_label("Everyday sentences").check()
        shown.wait_for_function("document.querySelectorAll('#vx-preview li').length === 10")
        shown.reload()
        shown.wait_for_selector("#vx-preview li")
        shown.get_by_label("My own sentences").check()
        shown.wait_for_function("document.querySelectorAll('#vx-preview li').length === 2")
        assert shown.locator("#vx-own-lines textarea").input_value() == "The stent sits well.\nGive her ten milligrams."


def test_a_damaged_file_and_a_dead_program_are_told_on_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "voice" / "datasets" / "voxtral_user"
    folder.mkdir(parents=True)
    (folder / "reading.json").write_text("{")
    with serving(tmp_path / "voice") as studio, browser() as chromium:
        shown = chromium.new_page(locale="en-US")
        shown.goto(studio.url)
        trouble = shown.locator(".vx-stepper-trouble")
        trouble.wait_for()
        assert "reading.json" in trouble.inner_text()
        (folder / "reading.json").unlink()
        shown.wait_for_selector("body[data-vx-step=language]")
        assert trouble.is_hidden()
        studio.kill()
        shown.click("#vx-language-next")
        shown.evaluate("document.dispatchEvent(new CustomEvent('vx:changed', {detail: {what: 'takes'}}))")
        trouble.wait_for()
        assert "does not answer" in trouble.inner_text()


def test_without_gradio_the_command_says_what_to_install() -> None:
    script = """
import sys
class NoGradio:
    def find_spec(self, name, path=None, target=None):
        if name == 'gradio':
            raise ModuleNotFoundError("No module named 'gradio'", name='gradio')
sys.meta_path.insert(0, NoGradio())
from voxtune.cli import run
sys.exit(run([]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'voxtune[studio]'" in done.stderr
