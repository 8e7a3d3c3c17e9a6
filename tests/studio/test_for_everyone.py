"""The page for eyes, ears and hands of all kinds: contrast, names and roles, keyboard alone, narrow windows, large letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support.studio import Studio, browser, page, serving
from tests.support.takes import record
from tests.support.waiting import until
from voxtune.dataset import recorded
from voxtune.studio import sentences
from voxtune.studio.access import Room
from voxtune.studio.page import STEPS
from voxtune.workspace import Workspace

OPEN = tuple(step for step in STEPS if step != "evaluation")
"""What is open before anything was trained."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    workspace = tmp_path_factory.mktemp("everyone") / "voice"
    room = Room(Workspace(workspace))
    sentences.choose(room, "en", "pack")
    room.reading.show()
    record(room.takes, 8)
    recorded.make(room.folder, sources={})
    with serving(workspace) as served:
        yield served


def _settled(shown: Any, step: str) -> None:
    """Wait until a step shows what it has to show."""
    shown.wait_for_selector(f"body[data-vx-step={step}]")
    shown.wait_for_selector(f"#panel-{step} h2", state="visible")
    shown.wait_for_timeout(1500)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_axe_finds_nothing_serious(studio: Studio, width: int, scheme: str) -> None:
    with browser() as chromium:
        for step in OPEN:
            with page(chromium, studio, width=width, scheme=scheme, step=step) as shown:
                _settled(shown, step)
                found = Axe().run(shown).response["violations"]
                bad = [
                    f"{step}: {each['id']}: {node['html'][:160]}: {node['failureSummary'][:200]}"
                    for each in found
                    if each["impact"] in ("serious", "critical")
                    for node in each["nodes"]
                ]
                assert bad == []


@pytest.mark.parametrize(("width", "height"), [(375, 740), (640, 450), (1280, 900)])
def test_nothing_is_wider_than_the_window(studio: Studio, width: int, height: int) -> None:
    """640 by 450 is a window of 1280 by 900 at 200 % zoom."""
    with browser() as chromium:
        for step in OPEN:
            with page(chromium, studio, width=width, height=height, step=step) as shown:
                _settled(shown, step)
                assert shown.evaluate("document.documentElement.scrollWidth") <= width, step


def test_a_finger_finds_every_button(studio: Studio) -> None:
    small = """step => [...document.querySelectorAll(`#panel-${step} button, #panel-${step} select, .vx-stepper button`)]
        .filter(each => each.checkVisibility({visibilityProperty: true, opacityProperty: true}))
        .map(each => [each.getBoundingClientRect(), each])
        .filter(([box]) => box.width && (box.height < 43.5 || box.width < 43.5))
        .filter(([, each]) => !each.closest('.wrap-inner, .vx-exempt, .icon-button, [role=listbox]'))
        .map(([box, each]) => [each.getAttribute('aria-label') || each.textContent.trim(), each.className, box.width, box.height].join(' '))"""
    with browser() as chromium:
        for step in OPEN:
            with page(chromium, studio, width=375, step=step) as shown:
                _settled(shown, step)
                assert shown.evaluate(small, step) == [], step


def test_the_way_to_a_recording_needs_no_mouse(tmp_path: Path) -> None:
    with serving(tmp_path / "voice") as studio, browser() as chromium, page(chromium, studio) as shown:

        def tab_to(selector: str) -> None:
            for _ in range(60):
                if shown.evaluate("selector => !!document.activeElement?.closest(selector)", selector):
                    return
                shown.keyboard.press("Tab")
            raise AssertionError(f"{selector} is not reached by Tab")

        tab_to("#vx-language-next")
        shown.keyboard.press("Enter")
        shown.wait_for_selector("#vx-preview li")
        assert shown.evaluate("document.activeElement.tagName") == "H2", "focus goes to the heading of the step"
        tab_to("#vx-phrases-next")
        shown.keyboard.press("Enter")
        shown.wait_for_selector(".vx-recorder-rows > li")
        shown.keyboard.press("Space")
        shown.wait_for_selector(".vx-recorder[data-mode=ready], .vx-recorder[data-mode=recording]")
        if shown.locator(".vx-recorder[data-mode=recording]").count() == 0:
            shown.keyboard.press("Space")
        shown.wait_for_selector(".vx-recorder[data-mode=recording]")
        shown.wait_for_timeout(1200)
        shown.keyboard.press("Space")
        room = Room(Workspace(studio.workspace))
        until(lambda: len(room.takes.all()) == 1)


def test_whoever_cannot_see_the_page_hears_each_step(studio: Studio) -> None:
    with browser() as chromium, page(chromium, studio, step="language") as shown:
        shown.click("#vx-step-phrases")
        shown.wait_for_function("document.querySelector('#vx-live').textContent.includes('Phrases')")
        assert shown.locator("#vx-step-phrases").get_attribute("aria-current") == "step"


def test_a_hundred_rows_stay_fluid_and_the_page_light(studio: Studio) -> None:
    room = Room(Workspace(studio.workspace))
    with browser() as chromium, page(chromium, studio, step="recordings") as shown:
        shown.wait_for_selector(".vx-recorder-rows > li")
        while shown.locator(".vx-recorder-add").is_enabled() and shown.locator(".vx-recorder-rows > li").count() < 100:
            count = shown.locator(".vx-recorder-rows > li").count()
            shown.click(".vx-recorder-add")
            shown.wait_for_function("count => document.querySelectorAll('.vx-recorder-rows > li').length > count", arg=count)
        assert shown.locator(".vx-recorder-rows > li").count() == 100
    now = room.reading.now()
    assert now is not None
    assert len(now.rows) == 100
    config = re.search(r"window\.gradio_config = (.*?);</script>", httpx2.get(studio.url).text, re.DOTALL)
    assert config is not None
    assert len(config.group(1).encode()) < 60_000
