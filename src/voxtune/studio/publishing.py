"""Publishing as the page asks for it: each step a command of voxtune beside the studio, found again after a reload and a restart."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune.dataset.store import read_about
from voxtune.errors import CallError, InUseError, VoxtuneError
from voxtune.publishing import consent, model_card, records, run_record
from voxtune.publishing.account import Account, check_name, repo_name, require_write
from voxtune.studio import evaluations, run_sights
from voxtune.studio.access import Room
from voxtune.studio.children import Child
from voxtune.studio.dataset_routes import is_current, make
from voxtune.studio.listening import LISTENER
from voxtune.workspace import DATA_FILE, DATASET_FILE, RunFolder

STEPS = ("dataset", "model", "card", "space", "tracking")
LICENSES = ("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "apache-2.0")
WHATS = ("auto", "adapter", "merged")
HARDWARE = ("cpu-basic", "zero-a10g", "t4-small", "l4x1")
"""What a demo may run on, the free first."""

_SHOWN = ("repo", "url", "revision", "private", "license", "at")
"""Of a record, what the page tells."""
_SPACE_TOKEN = re.compile(r"[\x21-\x7e]{4,200}")
_starting = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asked to publish, as it is kept beside the command: without any secret."""

    repo: str
    public: bool = False
    license: str = ""
    what: str = "auto"
    hardware: str = ""
    replace: bool = False

    def flags(self, step: str) -> list[str]:
        """What to give the command of a step besides what and where."""
        found = ["--yes", "--json"]
        if step in ("dataset", "model"):
            found += ["--license", self.license] if self.license else []
        if step == "model":
            found += ["--what", self.what]
        if step == "space":
            found += ["--hardware", self.hardware] if self.hardware else []
        if step in ("dataset", "model", "space"):
            found += (["--public"] if self.public else []) + (["--replace"] if self.replace else [])
        return found


def sight(room: Room, run: RunFolder | None) -> dict[str, Any]:
    """How publishing stands: the dataset, whose voice it is, and each step with what is published of it."""
    about = read_about(room.folder.path / DATASET_FILE)
    made = (room.folder.path / DATA_FILE).is_file()
    languages = list(about.get("languages") or [])
    dataset = {"clips": about.get("num_clips", 0), "seconds": about.get("duration_s", 0.0), "language": about.get("language") or (languages or [""])[0]}
    steps = {"dataset": _step(room, None, "dataset")} if made else {}
    if run is not None:
        steps |= {step: _step(room, run, step) for step in STEPS if step != "dataset"}
    said = _consent(room, run)
    return {"dataset": {**dataset, "is_current": is_current(room)} if made else None, "consent": asdict(said) if said else None, "steps": steps}


def listed(room: Room) -> list[dict[str, Any]]:
    """The runs of which there is something to publish, newest first, each with where its model is published."""
    found = []
    for id_, run in run_sights.found(room).items():
        try:
            short = run_sights.short(id_, run)
            if short["state"] != "finished" or not run.model.is_dir():
                continue
            model = records.read(run.path).get("model", {})
            spoken = evaluations.language(run)
        except VoxtuneError:
            continue  # a damaged one is told of where runs are listed
        kept = {name: short[name] for name in ("id", "name", "model", "method", "started_at", "base_wer", "best_wer")}
        found.append({**kept, "language": spoken or "", "repo": model.get("repo", "")})
    return found


def confirm(room: Room, run: RunFolder | None, voice: str, account: Account) -> None:
    """Keep whose voice it is, with the dataset and with a run that was trained on another one. Raises CallError."""
    if (room.folder.path / DATA_FILE).is_file():
        consent.give(room.folder.path, voice, by=account.name)
    if run is not None and not _speaks_for(room, run):
        consent.give(run.path, voice, by=account.name)


def start(room: Room, run: RunFolder | None, step: str, wish: Wish, account: Account, more: Mapping[str, str]) -> None:
    """Publish one step beside the studio, if that is not being done already. Raises VoxtuneError for what could not go, before anything is sent."""
    folder = _folder(room, run, step)
    if step == "card":
        wish = Wish(repo=str(records.read(folder).get("model", {}).get("repo", "")))
    if step != "card" or wish.repo:
        check_name(wish.repo)
        wish = Wish(**{**asdict(wish), "repo": repo_name(wish.repo, account)})
        require_write(account, wish.repo)
    if _consent(room, run if step != "dataset" else None) is None:
        raise CallError("nobody has confirmed yet whose voice this is.", hint="Say so at the top of this page.")
    if step == "dataset":
        _bring_up_to_date(room)
    elif step in ("model", "space"):
        evaluations.refuse_if_busy(room)
        LISTENER.make_room()
    # One server answers one workspace's pages, so a lock of this process is enough.
    with _starting:
        child = _child(folder, step)
        if child.is_working:
            return
        if any(_child(folder, other).is_working for other in STEPS if other != step):
            raise InUseError("something else of this run is being published.", hint="Wait until it is there.")
        files.write_json(_asked(folder, step), {**asdict(wish), "stopped": False, "at": time.time()})
        child.start([*_command(room, run, step, wish), *wish.flags(step)], more)


def stop(room: Room, run: RunFolder | None, step: str) -> None:
    """Ask a step to stop, if it is at work: what it had not finished at the Hub was never there."""
    folder = _folder(room, run, step)
    with _starting:
        if _child(folder, step).stop():
            files.write_json(_asked(folder, step), {**_last_wish(folder, step), "stopped": True})


def card(run: RunFolder) -> str:
    """The text of the model's card as it would be sent now. Raises VoxtuneError."""
    return model_card.build(run_record.read(run))


def wish_of(asked: Mapping[str, Any]) -> Wish:
    """What a page asks for. Raises CallError for what is none of what there is to choose."""

    def one_of(name: str, choices: tuple[str, ...], usual: str) -> str:
        value = asked.get(name) or usual
        if value not in (*choices, usual):
            raise CallError(f"{name} is {', '.join(choices)}.", hint="Reload the page.")
        return str(value)

    return Wish(
        repo=str(asked.get("repo", "")).strip(),
        public=asked.get("public") is True,
        license=one_of("license", LICENSES, ""),
        what=one_of("what", WHATS, "auto"),
        hardware=one_of("hardware", HARDWARE, ""),
        replace=asked.get("replace") is True,
    )


def space_token(asked: Mapping[str, Any]) -> Mapping[str, str]:
    """The environment that hands a demo's token to the command, which alone knows it then. Raises CallError for what is no token."""
    token = str(asked.get("space_token") or "").strip()
    if not token:
        return {}
    if not _SPACE_TOKEN.fullmatch(token):
        raise CallError("this is no token.", hint="Copy it again: it is one word that begins with hf_.")
    return {"VOXTUNE_SPACE_TOKEN": token}


def _command(room: Room, run: RunFolder | None, step: str, wish: Wish) -> list[str]:
    if step == "dataset":
        return ["push", "dataset", str(room.folder.path.resolve()), wish.repo]
    assert run is not None, "looked up by the route"
    path = str(run.path.resolve())
    words: dict[str, Callable[[], list[str]]] = {
        "model": lambda: ["push", "model", path, wish.repo],
        "card": lambda: ["card", path, "--push"],
        "space": lambda: ["deploy", path, wish.repo],
        "tracking": lambda: ["push", "tracking", path, wish.repo],
    }
    return words[step]()


def _step(room: Room, run: RunFolder | None, step: str) -> dict[str, Any]:
    """One step: {"state": none|working|stopping|stopped|failed|done, how far, why not, what is published, what was asked for last}."""
    folder = _folder(room, run, step)
    child, asked = _child(folder, step), _last_wish(folder, step)
    published = _published(room, run, step)
    found: dict[str, Any] = {"state": "done" if published else "none", "what": "", "done": 0, "total": 0, "code": "", "message": "", "hint": ""}
    found |= {"published": published, "asked": asked or None, "sent": None}
    if child.is_working:
        now = child.progress
        return {**found, "state": "stopping" if asked.get("stopped") else "working", "what": now.what.rpartition(": ")[2], "done": now.done, "total": now.total}
    failure = child.failure
    if failure is not None and child.spoke_at > float((published or {}).get("at") or 0.0):  # a demo is on record before it runs
        if asked.get("stopped"):
            return {**found, "state": "stopped"}
        return {**found, "state": "failed", "code": failure.code, "message": failure.message, "hint": failure.hint}
    result = child.result
    if isinstance(result, dict) and published and result.get("revision") == published["revision"]:
        found["sent"] = len(result.get("sent") or [])
    return found


def _published(room: Room, run: RunFolder | None, step: str) -> dict[str, Any] | None:
    """What is published of a step; a card is one of the model's files, and of one that was sent by itself only its command tells."""
    if step == "card":
        found = _child(_folder(room, run, step), step).result
    else:
        found = records.read(room.folder.path if run is None or step == "dataset" else run.path).get(step)
    if not isinstance(found, dict) or not found.get("repo"):
        return None
    return {**{name: found.get(name) for name in _SHOWN}, "verified": (found.get("verification") or {}).get("state")}


def _consent(room: Room, run: RunFolder | None) -> consent.Consent | None:
    """What was confirmed of all that is there to publish: the dataset, and the run, which may have been trained on another."""
    of_data = consent.given(room.folder.path) if (room.folder.path / DATA_FILE).is_file() else None
    if run is None:
        return of_data
    of_run = consent.given(run.path)
    return of_run if of_data or not (room.folder.path / DATA_FILE).is_file() else None


def _speaks_for(room: Room, run: RunFolder) -> bool:
    """Whether what is said of the room's dataset is said of a run: it was trained on it."""
    try:
        data = Path(run_sights.settings_of(run).data)
    except VoxtuneError:
        return False
    return room.folder.path.resolve() in (data.resolve(), data.parent.resolve())


def _bring_up_to_date(room: Room) -> None:
    if not (room.folder.path / DATA_FILE).is_file():
        raise CallError("there is no dataset yet.", hint="Create it first.")
    if not is_current(room):
        make(room)  # what is published is what stands on the page


def _folder(room: Room, run: RunFolder | None, step: str) -> Path:
    """Where the command of a step leaves its files."""
    if step not in STEPS:
        raise CallError("there is no such step.", hint="Reload the page.")
    if step == "dataset":
        folder = room.workspace.private / "publishing"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    if run is None:
        raise CallError("there is no finished run yet.", hint="Train a model first.")
    return run.path


def _child(folder: Path, step: str) -> Child:
    return Child(folder, f"publishing-{step}")


def _asked(folder: Path, step: str) -> Path:
    return folder / f".publishing-{step}.asked.json"


def _last_wish(folder: Path, step: str) -> dict[str, Any]:
    try:
        value = json.loads(_asked(folder, step).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
