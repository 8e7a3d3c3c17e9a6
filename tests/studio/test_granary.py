"""Sentences of Granary come when they come: nobody waits for them, and none takes the place of one that was seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import granary
from tests.support.studio import Studio, browser, page, serving
from tests.support.waiting import until


@contextmanager
def online(tmp_path: Path, endpoint: str) -> Iterator[Studio]:
    places = {"HF_HOME": str(tmp_path / "hf"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with serving(tmp_path / "voice", environment={"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", **places}) as studio:
        yield studio


def _choose_german(shown: Any) -> None:
    shown.locator("#vx-language input").click()
    shown.locator("#vx-language input").fill("German")
    shown.keyboard.press("Enter")
    shown.click("#vx-language-next")
    shown.wait_for_selector("#vx-preview li")


def test_the_first_sentences_stand_there_before_granary_has_said_anything_and_its_own_come_by_themselves(tmp_path: Path) -> None:
    served = granary.german("ytc", "yodas")
    served.opened.clear()
    with granary.serve(served), online(tmp_path, served.endpoint) as studio, browser() as chromium, page(chromium, studio) as shown:
        _choose_german(shown)
        assert "on their way" in shown.locator("#vx-preview .from").inner_text()
        assert served.asked == []
        ours = shown.locator("#vx-preview li").all_inner_texts()
        served.opened.set()
        shown.wait_for_function("document.querySelector('#vx-preview .from').textContent.includes('NVIDIA Granary')", timeout=30_000)
        theirs = shown.locator("#vx-preview li").all_inner_texts()
        assert not set(ours) & set(theirs)
        assert "nvidia/Granary" in shown.locator("#vx-preview .from").inner_text()


def test_sentences_on_the_recorders_page_stay_when_granary_comes(tmp_path: Path) -> None:
    served = granary.german("ytc", "yodas")
    served.opened.clear()
    with granary.serve(served), online(tmp_path, served.endpoint) as studio, browser() as chromium, page(chromium, studio) as shown:
        _choose_german(shown)
        shown.click("#vx-phrases-next")
        shown.wait_for_selector("#panel-recordings", state="visible")
        before = studio.call("GET", "reading?show=1").json()["rows"]
        served.opened.set()
        until(lambda: studio.call("GET", "reading?show=1").json()["source"] == "granary")
        after = studio.call("POST", "reading/more").json()["rows"]
    assert after[:10] == before
    assert {row["source"] for row in after[10:]} == {"granary"}


def test_a_granary_that_fails_is_said_and_ours_stay(tmp_path: Path) -> None:
    served = granary.Granary(refuse=500)
    with granary.serve(served), online(tmp_path, served.endpoint) as studio, browser() as chromium, page(chromium, studio) as shown:
        _choose_german(shown)
        shown.wait_for_function("document.querySelector('#vx-preview .from').textContent.includes('could not be reached')", timeout=60_000)
        assert shown.locator("#vx-preview li").count() == 10
