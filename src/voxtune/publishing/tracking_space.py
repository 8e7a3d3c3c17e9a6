"""The figures of one run in a private Trackio Space, only when somebody asks for it.

Trackio's own `sync` is not used: it sends the whole local project, which holds all runs of a person, and puts the token that publishes
into the Space as a secret. This Space holds the figures as a file and starts the dashboard over them; it needs no token and no bucket.
"""

from __future__ import annotations

import datetime
import json
import tempfile
from pathlib import Path
from string import Template
from typing import Any

from voxtune import files
from voxtune.errors import CallError, HubError
from voxtune.publishing import hub, hub_spaces, records, run_record, space_wait
from voxtune.publishing.belongings import TRACKING_LOCK
from voxtune.publishing.calls import Progress, silent
from voxtune.publishing.card_text import front_matter, plain
from voxtune.publishing.run_record import RunRecord
from voxtune.publishing.space_files import PYTHON, gradio_version, pin
from voxtune.training import events
from voxtune.training.tracking import PROJECT
from voxtune.workspace import RunFolder

TEMPLATE = Path(__file__).parent / "templates" / "tracking"
WAIT_S = 900.0
_OURS = ("README.md", "app.py", "requirements.txt", "figures.json")
_PATHS = frozenset({"data", "output", "model"})
"""Settings that are, or may be, places on this machine."""
_NO_FIGURE = frozenset({"time", "event", "step"})


def sync(run: RunFolder, repo: str, *, wait_s: float = WAIT_S, progress: Progress | None = None) -> dict[str, Any]:
    """Put a run's figures into a private Space and see that its dashboard shows all of them; called again it sends what is new.

    Raises CallError where there are no figures yet, InUseError for a Space of something else, HubError for a public one and as `deploy` does.
    """
    say = progress or silent
    record = run_record.read(run)
    told = figures(run, record)
    with files.locked(run.path / TRACKING_LOCK), tempfile.TemporaryDirectory() as folder:
        _stage(record, told, Path(folder))
        noting = records.noting_the_start(run.path, "tracking", "space", repo, say)
        put = hub.publish("space", repo, Path(folder), private=True, message="Show the figures", ours=_OURS.__contains__, sdk="gradio", progress=noting)
    noted = {**put.as_json(), "project": PROJECT, "run": told["run"], "figures": len(told["figures"])}
    records.finished(run.path, "tracking", {**noted, "address": None, "shown": None})
    space_wait.until_it_runs(put, restarted=False, wait_s=wait_s, say=say)
    noted |= {"address": hub_spaces.address(repo)}
    noted |= {"shown": _shown(noted["address"], told["run"])}
    records.note(run.path, "tracking", noted)
    if noted["shown"] != noted["figures"]:
        said = f"{put.url} runs, and shows {noted['shown']} of {noted['figures']} rows of figures."
        raise HubError(said, hint="Try again in a minute.", code="incomplete")
    return noted


def figures(run: RunFolder, record: RunRecord) -> dict[str, Any]:
    """figures.json: what Trackio shows of a run, and nothing else of it. Raises CallError where there is nothing yet."""
    rows = events.surviving_metrics(run.events)
    if not rows:
        raise CallError(f"there are no figures of {run.path} yet.", hint="Train it first.")
    settings = {name: value for name, value in record.settings.model_dump(mode="json").items() if name not in _PATHS}
    config = {**settings, "base_model": record.base, "language": record.settings.language or ", ".join(record.languages)}
    return {"project": PROJECT, "run": record.name, "config": config, "figures": [_row(row) for row in rows]}


def _row(event: dict[str, Any]) -> dict[str, Any]:
    at = datetime.datetime.fromtimestamp(float(event["time"]), datetime.UTC).isoformat(timespec="milliseconds")
    numbers = {name: value for name, value in event.items() if name not in _NO_FIGURE and isinstance(value, int | float)}
    return {"step": event["step"], "at": at, **numbers}


def _stage(record: RunRecord, told: dict[str, Any], folder: Path) -> None:
    title = f"{record.name}: training"
    card = {
        "title": title,
        "emoji": "📈",
        "colorFrom": "green",
        "colorTo": "blue",
        "sdk": "gradio",
        "sdk_version": gradio_version(),
        "python_version": PYTHON,
        "app_file": "app.py",
        "models": [record.repo] if record.repo else None,
        "tags": ["trackio", "voxtune"],
        "short_description": "The curves of a training run",
    }
    body = Template((TEMPLATE / "README.md").read_text(encoding="utf-8"))
    text = body.substitute(title=plain(title), model=f", of the model `{record.repo}`" if record.repo else "")
    files.put(folder / "README.md", (front_matter(card) + text).encode())
    files.put(folder / "app.py", (TEMPLATE / "app.py").read_bytes())
    files.put(folder / "requirements.txt", f"trackio{pin('trackio')}\n".encode())
    files.put(folder / "figures.json", (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())


def _shown(address: str, name: str) -> int:
    """How many rows of figures the dashboard knows of a run. Raises HubError where it does not answer."""
    import httpx2
    from huggingface_hub import get_token

    # The header of Gradio's client: it opens the door of a private Space, and goes no further.
    asked = {"args": [], "kwargs": {"project": PROJECT, "run": name}}
    try:
        answer = httpx2.post(f"{address}/api/get_run_summary", json=asked, headers={"X-HF-Authorization": f"Bearer {get_token()}"}, timeout=60.0)
        answer.raise_for_status()
        return int(answer.json()["data"]["num_logs"])
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        said = f"{address} runs, and does not answer: {' '.join(str(error).split())[:200]}"
        raise HubError(said, hint="Try again in a minute.", code="unreachable") from None
