"""`voxtune push tracking`: the curves of one run, and of no other, in a private Trackio Space that really runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.hub.trained import BASE, Practice
from tests.support.studio import browser

FILES = {"README.md", "app.py", "requirements.txt", "figures.json"}


@pytest.fixture(scope="module")
def pushed(practice: Practice) -> Iterator[dict[str, Any]]:
    practice.copy("to-be-shown")
    done = practice.voxtune("push", "tracking", "to-be-shown", "curves", "--yes", "--json")
    assert done.code == 0, done.err
    yield done.json
    practice.hub.state.spaces.gone(practice.hub.repos["space", "alice/curves"])


def _asked(pushed: dict[str, Any], what: str, **more: object) -> Any:
    asked = {"args": [], "kwargs": {"project": "voxtune", "run": "to-be-shown", **more}}
    answer = httpx2.post(f"{pushed['address']}/api/{what}", json=asked, headers={"X-HF-Authorization": "Bearer hf_write"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_the_dashboard_shows_every_figure_of_the_run(practice: Practice, pushed: dict[str, Any]) -> None:
    events = [json.loads(line) for line in (practice.run / "events.jsonl").read_text().splitlines()]
    metrics = [event for event in events if event["event"] == "metrics"]
    assert pushed["shown"] == pushed["figures"] == len(metrics)
    shown = _asked(pushed, "get_logs")
    assert [(row["step"], row.get("loss"), row.get("eval_wer")) for row in shown] == [(row["step"], row.get("loss"), row.get("eval_wer")) for row in metrics]
    summary = _asked(pushed, "get_run_summary")
    assert summary["config"]["base_model"] == BASE
    assert summary["config"]["lora_r"] == 16


def test_it_is_private_holds_no_token_and_only_figures(practice: Practice, pushed: dict[str, Any]) -> None:
    space = practice.hub.repos["space", "alice/curves"]
    assert (space.private, space.secrets, space.variables) == (True, {}, {})
    assert set(space.files("main")) == {*FILES, ".gitattributes"}
    assert httpx2.get(pushed["address"]).status_code == 404
    texts = {path: practice.hub.read("space", "alice/curves", path).decode() for path in FILES}
    for text in texts.values():
        assert not [secret for secret in ("hf_write", str(practice.voxtune.folder), str(Path.home()), "turn on", "/wavs/") if secret in text]
    assert texts["requirements.txt"] == f"trackio=={metadata.version('trackio')}\n"
    head = yaml.safe_load(texts["README.md"].split("---")[1])
    assert {"sdk": "gradio", "python_version": "3.12", "app_file": "app.py"}.items() <= head.items()
    assert set(head["tags"]) == {"trackio", "voxtune"}


def test_what_was_sent_once_is_not_sent_again(practice: Practice, pushed: dict[str, Any]) -> None:
    commits = len(practice.hub.repos["space", "alice/curves"].commits)
    again = practice.voxtune("push", "tracking", "to-be-shown", "curves", "--yes", "--json")
    assert again.code == 0, again.err
    assert (again.json["sent"], again.json["revision"]) == ([], pushed["revision"])
    assert len(practice.hub.repos["space", "alice/curves"].commits) == commits
    kept = json.loads((practice.run.with_name("to-be-shown") / "published.json").read_text())["tracking"]
    assert kept == {name: value for name, value in again.json.items() if name != "seconds"}


def test_the_curves_are_drawn(practice: Practice, pushed: dict[str, Any]) -> None:
    signed = httpx2.get(f"{practice.hub.url}/api/spaces/alice/curves/jwt", headers={"Authorization": "Bearer hf_write"}).json()["token"]
    with browser() as chromium:
        page = chromium.new_page()
        page.goto(f"{pushed['address']}/?__sign={signed}")
        page.get_by_text("eval_wer").first.wait_for()
        assert page.get_by_text("to-be-shown").count() > 0


def test_nothing_goes_out_without_a_word_or_without_figures(practice: Practice) -> None:
    assert "--yes" in practice.voxtune.refused("push", "tracking", "run", "never", code=2)
    run = practice.copy("without-figures")
    (run / "events.jsonl").unlink()
    assert "no figures" in practice.voxtune.refused("push", "tracking", "without-figures", "never", "--yes", code=2)
    assert ("space", "alice/never") not in practice.hub.repos
