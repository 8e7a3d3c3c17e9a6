"""Spaces on the test server: committed apps really run, for those who may see them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.support.hub import Fault, HubServer
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent.parent
CARD = "---\ntitle: T\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py\n---\n"
# Not all of gradio, which takes seconds to load: an app is whatever listens at the port.
APP = """
import http.server, json, os, subprocess, sys, time
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.say(json.dumps({"variables": dict(os.environ), "headers": dict(self.headers), "child": child.pid, "path": self.path}).encode())
    def do_POST(self):
        self.say(self.rfile.read(int(self.headers["Content-Length"]))[::-1])
    def say(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("it runs")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Page).serve_forever()
"""
GRADIO_APP = """
import os, time
import gradio as gr
def greet(name, file):
    return f"{os.environ['GREETING']} {name} {open(file).read()}"
def count(upto):
    for number in range(int(upto)):
        time.sleep(0.01)
        yield number
with gr.Blocks() as demo:
    name, file, said = gr.Textbox(), gr.File(), gr.Textbox()
    gr.Button().click(greet, [name, file], said, api_name="greet")
    upto, now = gr.Number(), gr.Number()
    gr.Button().click(count, upto, now, api_name="count")
demo.launch()
"""


class Owner:
    """Alice and her Space."""

    def __init__(self, hub: HubServer, name: str = "alice/demo", *, private: bool = True, **more: Any) -> None:
        self.hub = hub
        self.name = name
        self.ask("POST", "/api/repos/create", json={"name": name.split("/")[1], "type": "space", "sdk": "gradio", "private": private, **more})

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = httpx2.request(method, self.hub.url + path, headers={"Authorization": "Bearer hf_write"}, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.headers.get("Content-Type") == "application/json" else answer.text

    def commit(self, **files: str) -> str:
        """Put files there, by their names with _ for the dot; gives the revision."""
        rows = [("file", {"path": name.replace("_", "."), "content": base64.b64encode(text.encode()).decode()}) for name, text in files.items()]
        lines = [{"key": "header", "value": {"summary": "s", "description": ""}}, *({"key": key, "value": value} for key, value in rows)]
        revision: str = self.ask("POST", f"/api/spaces/{self.name}/commit/main", content="\n".join(json.dumps(line) for line in lines))["commitOid"]
        return revision

    def runtime(self) -> dict[str, Any]:
        runtime: dict[str, Any] = self.ask("GET", f"/api/spaces/{self.name}/runtime")
        return runtime

    def settled(self) -> dict[str, Any]:
        until(lambda: self.runtime()["stage"] not in ("BUILDING", "APP_STARTING"))
        return self.runtime()

    @property
    def host(self) -> str:
        host: str = self.ask("GET", f"/api/spaces/{self.name}")["host"]
        return host

    def see(self, token: str = "hf_write") -> Any:
        return httpx2.get(self.host + "/some?x=1", headers={"Authorization": f"Bearer {token}"}).json()


def ended(process: psutil.Process) -> bool:
    """Whether it is gone, or waits only to be counted."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_committed_app_runs_and_is_seen_by_those_who_may(hub_with_spaces: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    owner = Owner(hub_with_spaces, secrets=[{"key": "KEY", "value": "first"}], variables=[{"key": "COLOUR", "value": "blue"}])
    assert owner.settled()["stage"] == "NO_APP_FILE"
    revision = owner.commit(README_md=CARD, app_py=APP)
    assert owner.runtime()["stage"] in ("BUILDING", "APP_STARTING")
    runtime = owner.settled()
    assert (runtime["stage"], runtime["sha"], runtime["hardware"]["current"]) == ("RUNNING", revision, "cpu-basic")
    seen = owner.see()
    assert seen["path"] == "/some?x=1"
    wanted = {"KEY": "first", "COLOUR": "blue", "SPACE_ID": "alice/demo", "HF_ENDPOINT": hub_with_spaces.url, "SYSTEM": "spaces"}
    assert {key: seen["variables"].get(key) for key in wanted} == wanted
    # Neither who serves nor who visits lends the app a token.
    assert "hf_write" not in json.dumps(seen)
    assert owner.see("hf_read")["path"]
    refused = [httpx2.get(owner.host, headers=headers).status_code for headers in ({}, {"Authorization": "Bearer hf_other"}, {"Authorization": "Bearer x"})]
    assert refused == [404, 404, 404]
    body = b"a long upload" * 100_000
    assert httpx2.post(owner.host, content=body, headers={"X-HF-Authorization": "Bearer hf_write"}).content == body[::-1]
    signed = owner.ask("GET", "/api/spaces/alice/demo/jwt")["token"]
    with httpx2.Client(follow_redirects=True) as browser:
        assert browser.get(f"{owner.host}/?__sign={signed}").json()["path"] == "/"
        assert browser.get(f"{owner.host}/next").status_code == 200
    assert "it runs" in owner.ask("GET", "/api/spaces/alice/demo/logs/run")
    assert "Build finished" in owner.ask("GET", "/api/spaces/alice/demo/logs/build")
    hub_with_spaces.faults.append(Fault.busy("^/@alice/demo/some"))
    assert httpx2.get(owner.host + "/some", headers={"Authorization": "Bearer hf_write"}).status_code == 503
    owner.ask("PUT", "/api/spaces/alice/demo/settings", json={"private": False})
    assert httpx2.get(owner.host).status_code == 200


def test_what_it_is_made_of_changes_and_it_starts_again_and_deleted_it_is_gone(hub_with_spaces: HubServer) -> None:
    owner = Owner(hub_with_spaces)
    owner.commit(README_md=CARD, app_py=APP)
    owner.settled()
    first = psutil.Process(owner.see()["child"])
    owner.ask("POST", "/api/spaces/alice/demo/secrets", json={"key": "KEY", "value": "second"})
    assert owner.settled()["stage"] == "RUNNING"
    assert owner.see()["variables"]["KEY"] == "second"
    kept = owner.ask("GET", "/api/spaces/alice/demo/secrets")
    assert kept.keys() == {"KEY"}
    assert "second" not in json.dumps(kept)
    assert owner.ask("POST", "/api/spaces/alice/demo/hardware", json={"flavor": "t4-small"})["hardware"]["requested"] == "t4-small"
    owner.ask("POST", "/api/spaces/alice/demo/pause")
    assert owner.runtime()["stage"] == "PAUSED"
    assert httpx2.get(owner.host, headers={"Authorization": "Bearer hf_write"}).status_code == 503
    owner.ask("POST", "/api/spaces/alice/demo/restart")
    owner.settled()
    second, host = psutil.Process(owner.see()["child"]), owner.host
    assert ended(first)
    owner.ask("DELETE", "/api/repos/delete", json={"name": "demo", "type": "space"})
    until(lambda: ended(second))
    with pytest.raises(httpx2.TransportError):
        httpx2.get(host)


@pytest.mark.parametrize(
    ("files", "stage", "said"),
    [
        ({"README_md": CARD, "app_py": "import not_there\n"}, "RUNTIME_ERROR", "Exit code: 1. Reason: Traceback (most recent call last):"),
        ({"README_md": CARD, "app_py": "print('the end')\n"}, "RUNTIME_ERROR", "Exit code: 0. Reason: the end"),
        ({"README_md": "# No metadata\n", "app_py": APP}, "CONFIG_ERROR", "Missing configuration in README"),
        ({"README_md": CARD, "app_py": APP, "requirements_txt": "torch=2\n"}, "BUILD_ERROR", "Invalid requirement"),
        ({"README_md": CARD, "app_py": APP, "requirements_txt": "gradio<5\n"}, "BUILD_ERROR", "ResolutionImpossible"),
        ({"README_md": CARD.replace("app.py", "main.py"), "app_py": APP}, "NO_APP_FILE", "main.py"),
    ],
)
def test_what_does_not_run_says_why(hub_with_spaces: HubServer, files: dict[str, str], stage: str, said: str) -> None:
    owner = Owner(hub_with_spaces)
    owner.commit(**files)
    runtime = owner.settled()
    assert runtime["stage"] == stage
    assert said in runtime["errorMessage"]


def test_a_gradio_app_is_spoken_to_by_the_real_client(hub_with_spaces: HubServer, tmp_path: Path) -> None:
    owner = Owner(hub_with_spaces, variables=[{"key": "GREETING", "value": "Hello"}])
    owner.commit(README_md=CARD, app_py=GRADIO_APP)
    assert owner.settled()["stage"] == "RUNNING", owner.runtime()
    (tmp_path / "file.txt").write_text("and a file")
    code = """
import json, sys
from gradio_client import Client, handle_file
client = Client("alice/demo", token="hf_read", verbose=False)
print(json.dumps([client.predict("you", handle_file("file.txt"), api_name="/greet"), list(client.submit(4, api_name="/count"))]))
"""
    environment = {**os.environ, **hub_with_spaces.environment(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["Hello you and a file", [0, 1, 2, 3]]


def test_apps_never_outlive_the_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.hub", "--folder", str(tmp_path), "--run-spaces"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    address = process.stdout.readline().strip().removeprefix("HF_ENDPOINT=")
    with HubServer(tmp_path / "other") as other:  # only for its helpers
        other.state.url, own = address, other.state.url
        owner = Owner(other)
        owner.commit(README_md=CARD, app_py=APP)
        assert owner.settled()["stage"] == "RUNNING"
        child = psutil.Process(owner.see()["child"])
        process.kill()
        process.wait()
        process.stdout.close()
        until(lambda: ended(child))
        other.state.url = own


def test_spaces_that_do_not_run_say_that_they_do(hub: HubServer) -> None:
    owner = Owner(hub)
    revision = owner.commit(README_md=CARD, app_py=APP)
    runtime = owner.runtime()
    assert (runtime["stage"], runtime["sha"]) == ("RUNNING", revision)
    assert owner.host == "https://alice-demo.hf.space"


def test_for_a_moment_the_hub_still_tells_of_the_app_before(tmp_path: Path) -> None:
    with HubServer(tmp_path, stale_runtime_s=0.4) as hub:
        owner = Owner(hub)
        first = owner.commit(README_md=CARD, app_py=APP)
        until(lambda: owner.runtime()["sha"] == first)
        second = owner.commit(app_py=APP + "\n")
        assert owner.runtime()["sha"] == first
        until(lambda: owner.runtime()["sha"] == second)
