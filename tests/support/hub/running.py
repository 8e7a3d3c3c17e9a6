"""What Spaces run on: each committed app really started, watched, and ended with the server."""

from __future__ import annotations

import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from tests.support.hub.build import BuildError, Plan, checked_out
from tests.support.hub.front import Front
from tests.support.hub.process import AppProcess
from tests.support.hub.state import Hub, Repo, now

SETTLE_S = 0.15
"""A commit and the secrets set around it start an app once."""

START_TIMEOUT_S = 180.0


class Machine:
    """One Space: what it does, what it said, and its address."""

    def __init__(self, hub: Hub, repo: Repo, folder: Path, environment: dict[str, str]) -> None:
        self.hub = hub
        self.repo = repo
        self.stage = "NO_APP_FILE"
        self.message = ""
        self.sha: str | None = None
        self.build_log = ""
        self.since = now()
        self.app: AppProcess | None = None
        self.front = Front(hub, repo, self.target)
        self._folder = folder
        self._environment = environment
        self._turn = 0
        self._lock = threading.Lock()

    def target(self) -> tuple[str, int | None]:
        """The stage, and the app's own port where it may be asked."""
        return self.stage, self.app.port if self.app and self.stage == "RUNNING" else None

    def start(self) -> None:
        """Begin anew with what is committed and set now."""
        with self._lock:
            self._turn += 1
            turn = self._turn
            self._end("BUILDING")
            self.sha, self.message, self.since = self.repo.refs["main"], "", now()
        threading.Thread(target=self._live, args=(turn,), name=f"space {self.repo.id}", daemon=True).start()

    def stop(self, stage: str = "PAUSED") -> None:
        """End its app."""
        with self._lock:
            self._turn += 1
            self._end(stage)

    def close(self) -> None:
        """End its app and give its address up."""
        self.stop("DELETING")
        self.front.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """What the app said."""
        return self.app.log() if self.app else ""

    def _end(self, stage: str) -> None:
        if self.app is not None:
            self.app.kill()
        self.stage = stage

    def _live(self, turn: int) -> None:
        time.sleep(SETTLE_S)
        with self._lock:
            if turn != self._turn:
                return
            try:
                plan = checked_out(self.hub, self.repo, self._folder / f"app-{turn}")
            except BuildError as error:
                self.stage, self.message, self.build_log = error.stage, str(error), f"===== Build failed =====\n{error}\n"
                return
            self.build_log = plan.log
            self.stage = "APP_STARTING"
            self.app = AppProcess(plan.folder, plan.app_file, self._variables(plan), self._folder / f"home-{turn}")
        self._watch(turn, self.app)

    def _watch(self, turn: int, app: AppProcess) -> None:
        answered = app.wait_until_answering(START_TIMEOUT_S)
        with self._lock:
            if turn != self._turn:
                return
            if answered:
                self.stage = "RUNNING"
            else:
                app.kill()
                self._failed(app)
                return
        app.wait()
        with self._lock:
            if turn == self._turn:
                self._failed(app)

    def _failed(self, app: AppProcess) -> None:
        self.stage = "RUNTIME_ERROR"
        self.message = f"Exit code: {app.exit_code}. Reason: {app.log()[-2000:]}"

    def _variables(self, plan: Plan) -> dict[str, str]:
        repo = self.repo
        owner, name = repo.id.split("/")
        own = {"SYSTEM": "spaces", "SPACE_ID": repo.id, "SPACE_AUTHOR_NAME": owner, "SPACE_REPO_NAME": name, "SPACE_TITLE": str(plan.card.get("title", name))}
        own |= {"HF_ENDPOINT": self.hub.url, "CPU_CORES": "2", "MEMORY": "16Gi", "ACCELERATOR": "none", "PYTHON_VERSION": "3.12"}
        if plan.card.get("hf_oauth"):
            # Without SPACE_HOST, which is always https on the Hub, gradio sends people back to the address that they came from.
            own |= {"OAUTH_CLIENT_ID": f"client-{owner}-{name}", "OAUTH_CLIENT_SECRET": self.hub.sealed(f"client {repo.id}")}
            own |= {"OAUTH_SCOPES": " ".join(["openid", "profile", *plan.card.get("hf_oauth_scopes", [])]), "OPENID_PROVIDER_URL": self.hub.url}
        else:
            own["SPACE_HOST"] = self.front.url.removeprefix("http://")
        given = {key: str(row["value"]) for kept in (repo.variables, repo.secrets) for key, row in kept.items()}
        return {**own, **self._environment, **given}


class Spaces:
    """All Spaces. Where they are not `real`, none is started and each is said to run at once."""

    def __init__(self, hub: Hub, folder: Path, *, real: bool, environment: dict[str, str], stale_s: float = 0.0) -> None:
        self.hub = hub
        self.real = real
        self.stale_s = stale_s
        self.environment = environment
        self._folder = folder
        self._machines: dict[str, Machine] = {}
        self._paused: set[str] = set()
        self._shas: dict[str, str] = {}
        self._former: dict[str, tuple[float, dict[str, Any]]] = {}

    def runtime(self, repo: Repo) -> dict[str, Any]:
        """What it does. For `stale_s` seconds after a change it still says what it said before, as the Hub does for a moment."""
        until, former = self._former.get(repo.id, (0.0, {}))
        return former if time.monotonic() < until else self._now(repo)

    def host(self, repo: Repo) -> str:
        """Where its app is seen."""
        return self.machine(repo).front.url if self.real else f"https://{subdomain(repo)}.hf.space"

    def changed(self, repo: Repo) -> None:
        """Something that it is made of is new: start it again."""
        if self.stale_s:
            self._former[repo.id] = (time.monotonic() + self.stale_s, self._now(repo))
        self._paused.discard(repo.id)
        self._shas[repo.id] = repo.refs["main"]
        if self.real:
            self.machine(repo).start()

    def pause(self, repo: Repo) -> None:
        """Stop it until it is started again."""
        self._paused.add(repo.id)
        if self.real:
            self.machine(repo).stop()

    def gone(self, repo: Repo) -> None:
        """It was deleted."""
        self._paused.discard(repo.id)
        self._shas.pop(repo.id, None)
        self._former.pop(repo.id, None)
        machine = self._machines.pop(repo.id, None)
        if machine:
            machine.close()

    def log(self, repo: Repo, *, build: bool) -> tuple[str, str]:
        """What its build or its app said, and since when."""
        if not self.real:
            return "", now()
        machine = self.machine(repo)
        return machine.build_log if build else machine.log(), machine.since

    def stop_all(self) -> None:
        """Leave nothing running."""
        for repo in [machine.repo for machine in self._machines.values()]:
            self.gone(repo)
        self._paused.clear()
        self._shas.clear()
        self._former.clear()

    def machine(self, repo: Repo) -> Machine:
        """What a Space runs on."""
        if repo.id not in self._machines:
            machine = Machine(self.hub, repo, self._folder / subdomain(repo), self.environment)
            machine.front.start()
            self._machines[repo.id] = machine
        return self._machines[repo.id]

    def _now(self, repo: Repo) -> dict[str, Any]:
        if self.real:
            machine = self.machine(repo)
            stage, sha, message = machine.stage, machine.sha, machine.message
        else:
            stage, sha, message = "PAUSED" if repo.id in self._paused else "RUNNING", self._shas.get(repo.id, repo.refs["main"]), ""
        running = stage == "RUNNING"
        about: dict[str, Any] = {"stage": stage, "hardware": {"current": repo.hardware if running else None, "requested": repo.hardware}, "storage": None}
        about |= {"gcTimeout": repo.sleep_s or 172800, "replicas": {"current": int(running), "requested": 1}, "devMode": False}
        about |= {"domains": [{"domain": f"{subdomain(repo)}.hf.space", "stage": "READY"}], "volumes": repo.volumes}
        return {**about, **({"sha": sha} if sha else {}), **({"errorMessage": message} if message else {})}


def subdomain(repo: Repo) -> str:
    """The part of a Space's address that tells it from others."""
    return re.sub(r"[^a-z0-9]+", "-", repo.id.lower())
