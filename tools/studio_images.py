"""Take the pictures of docs/images: every step of the studio, at the width of a desk and of a phone, with a real run of the tiny model.

Run: python tools/studio_images.py    (needs Chromium; about three minutes on two cores)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.studio import browser, page, serving
from tests.support.takes import DEMO, demo_lines, phrase_list, record
from voxtune.cli import run as command
from voxtune.dataset import recorded
from voxtune.studio.access import Room
from voxtune.studio.page import STEPS
from voxtune.workspace import Workspace

IMAGES = ROOT / "docs" / "images"
NUM_TAKES = 60
WIDTHS = {"desk": (1200, 860, "light"), "phone": (375, 812, "dark")}


def prepared(workspace: Path) -> None:
    """A person who has recorded sixty sentences in the voice of the demo, and trained on them."""
    assert DEMO.is_dir(), "examples/demo_voice is not there"
    room = Room(Workspace(workspace))
    room.reading.choose("en", "practice", phrase_list([text for _, text in demo_lines(NUM_TAKES + 20)]), set())
    room.reading.show()
    for _ in range(6):
        room.reading.more()
    record(room.takes, NUM_TAKES)
    recorded.make(room.folder, sources={})
    output = room.workspace.outputs / "tiny-lora-my-voice"
    assert command(["train", "--data", str(room.folder.path), "--model", "tiny", "--epochs", "8", "--output", str(output)]) == 0
    assert command(["evaluate", str(output)]) == 0


def picture(shown: Any, step: str, name: str) -> None:
    """One picture of what is seen without scrolling."""
    shown.wait_for_selector(f"#panel-{step} h2", state="visible")
    shown.wait_for_timeout(2500)
    shown.screenshot(path=IMAGES / f"{step}-{name}.png")


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        prepared(Path(folder))
        with serving(Path(folder)) as studio, browser() as chromium:
            for name, (width, height, scheme) in WIDTHS.items():
                for step in STEPS:
                    with page(chromium, studio, width=width, height=height, scheme=scheme, step=step) as shown:
                        picture(shown, step, name)
