"""How quick the studio is: from a cold start to the first sentence that can be recorded, and from the end of a take to "saved".

Run: python benchmarks/studio.py    (needs Chromium; prints one JSON object; seconds and bytes of this machine, of one process each)
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import httpx2

from tests.support.studio import Studio, browser, page
from voxtune.studio import sentences
from voxtune.studio.access import Room
from voxtune.studio.words import LANGUAGES
from voxtune.workspace import Workspace

TAKES = 12
ROWS = 100


def cold_start() -> dict[str, float]:
    """From nothing running to a recorder that is ready, by three clicks."""
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        studio = Studio(Path(folder) / "voice")
        began = time.monotonic()
        studio.start()
        served = time.monotonic()
        try:
            with page(chromium, studio) as shown:
                shown.click("#vx-language-next")
                shown.wait_for_selector("#vx-preview li")
                first = time.monotonic()
                shown.click("#vx-phrases-next")
                shown.wait_for_selector(".vx-recorder-phrase:not(:empty)")
                ready = time.monotonic()
            weights = {f"config_bytes_{language}": float(config_bytes(studio, language)) for language in LANGUAGES}
        finally:
            studio.stop()
    return {"server_s": served - began, "first_sentences_s": first - served, "first_recordable_s": ready - served, "clicks": 3, **weights}


def config_bytes(studio: Studio, language: str) -> int:
    """What the page carries for one visitor."""
    found = re.search(r"window\.gradio_config = (.*?);</script>", httpx2.get(studio.url, headers={"Accept-Language": language}).text, re.DOTALL)
    assert found is not None, "gradio writes its config otherwise"
    return len(found.group(1).encode())


def takes() -> dict[str, float]:
    """Takes of about a second: from the end of the moments kept after Stop to the server's answer; and ten rows more at a hundred."""
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        workspace = Path(folder) / "voice"
        sentences.choose(Room(Workspace(workspace)), "en", "pack")
        studio = Studio(workspace).start()
        try:
            with page(chromium, studio, step="recordings") as shown:
                shown.wait_for_selector(".vx-recorder-rows > li")
                adding = []
                while (count := shown.locator(".vx-recorder-rows > li").count()) < ROWS:
                    began = time.monotonic()
                    shown.click(".vx-recorder-add")
                    shown.wait_for_function("count => document.querySelectorAll('.vx-recorder-rows > li').length > count", arg=count)
                    adding.append(time.monotonic() - began)
                shown.locator(".vx-recorder-rows > li").first.click()
                shown.click(".vx-recorder-record")
                shown.wait_for_function("document.querySelector('.vx-recorder').dataset.mode === 'ready'")
                answers = []
                for _ in range(TAKES):
                    shown.keyboard.press("Space")
                    shown.wait_for_timeout(1200)
                    shown.keyboard.press("Space")
                    shown.wait_for_function("window.vxRecorder.lastAck?.status === 200 && window.vxSeen !== window.vxRecorder.lastAck.key")
                    answers.append(shown.evaluate("(window.vxSeen = window.vxRecorder.lastAck.key, window.vxRecorder.lastAck.ms)"))
                    shown.keyboard.press("ArrowDown")
        finally:
            studio.stop()
    return {"saved_ms_median": statistics.median(answers), "saved_ms_worst": max(answers), "add_ten_ms_worst": 1000 * max(adding)}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(json.dumps({name: round(value, 3) for name, value in {**cold_start(), **takes()}.items()}, indent=2))
