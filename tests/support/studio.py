"""The studio as a process, and a person's browser before it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

QUIET_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Studio:
    """`voxtune studio` of one workspace; may be killed and started again, on the same port."""

    workspace: Path
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def log(self) -> Path:
        """What the process says."""
        return self.workspace / "studio.log"

    def start(self) -> Studio:
        """Start it and wait until it answers."""
        self.workspace.mkdir(parents=True, exist_ok=True)
        own = {"TRACKIO_DIR": str(self.workspace / "trackio"), "VOXTUNE_STATE": str(self.workspace / "state"), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "voxtune", "studio", "--port", str(self.port), "--workspace", str(self.workspace), *self.flags]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, env={**os.environ, **own, **self.environment}, stdout=log, stderr=log, stdin=subprocess.DEVNULL, text=True)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(httpx2.HTTPError):
                if httpx2.get(self.url + "vx/words", timeout=5).status_code == 200:
                    return self
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"the studio did not answer: {self.log.read_text()}")

    def kill(self) -> None:
        """End it without warning."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def key(self) -> str:
        """The key of its page, once the page was opened."""
        file = self.workspace / ".voxtune" / "key"
        if not file.is_file():
            self.open_page()
        return file.read_text().strip()

    def open_page(self) -> None:
        """Do what a browser does when it opens the page: ask for a key."""
        config = httpx2.get(self.url + "config").json()
        number = next(each["id"] for each in config["dependencies"] if each["targets"] == [[config["layout"]["id"], "load"]] or "load" in str(each["targets"]))
        session = {"data": [""], "fn_index": number, "session_hash": "test"}
        answer = httpx2.post(self.url + "gradio_api/run/predict", json=session)
        assert answer.status_code == 200, answer.text

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
        """Ask one of its own addresses, as the page does."""
        return httpx2.request(method, self.url + "vx/" + path, headers={"X-Vx-Key": self.key, **(headers or {})}, timeout=30, **more)


@contextlib.contextmanager
def serving(workspace: Path, **options: Any) -> Iterator[Studio]:
    """A studio that is ended afterwards."""
    studio = Studio(workspace, **options)
    try:
        yield studio.start()
    finally:
        studio.stop()


@contextlib.contextmanager
def browser(*, sound: Path | None = None, flags: tuple[str, ...] = (), microphone: bool = True) -> Iterator[Any]:
    """A Chromium whose microphone plays `sound` once, or beeps; skips the test where there is no Chromium, but never in CI."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            raise AssertionError("CI must have Chromium")
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    fake = ["--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"]
    if microphone:
        fake.append("--use-fake-device-for-media-stream")
    if sound is not None:
        fake.append(f"--use-file-for-fake-audio-capture={sound}%noloop")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET_FLAGS, *fake, *flags])
        try:
            yield chromium
        finally:
            chromium.close()


@contextlib.contextmanager
def page(chromium: Any, studio: Studio, *, width: int = 1280, height: int = 900, locale: str = "en-US", scheme: str = "light", step: str = "") -> Iterator[Any]:
    """The studio's page in a window; afterwards nothing may have been asked of other machines, and no script have failed."""
    context = chromium.new_context(viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
    shown = context.new_page()
    elsewhere: list[str] = []
    failures: list[str] = []
    shown.on(
        "request", lambda request: None if re.match(r"(data:|blob:|https?://(127\.0\.0\.1|localhost|\[::1\]))", request.url) else elsewhere.append(request.url)
    )
    shown.on("pageerror", lambda error: failures.append(str(error)))
    try:
        shown.goto(studio.url + (f"#{step}" if step else ""))
        shown.wait_for_selector("body[data-vx-step]")
        yield shown
        assert elsewhere == []
        assert failures == []
    finally:
        context.close()
