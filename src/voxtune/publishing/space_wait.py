"""Waiting until a Space runs what was published: woken where it sleeps, its log told where it fails."""

from __future__ import annotations

import time

from voxtune.errors import HubError
from voxtune.publishing import hub_spaces
from voxtune.publishing.calls import Progress, without_tokens
from voxtune.publishing.hub import Published
from voxtune.publishing.hub_spaces import Runtime

WAIT_S = 1_800.0
"""How long a Space may take, unless somebody says otherwise: a large model is downloaded when it starts."""
GRACE_S = 8.0
"""For so long after a change the Hub may still say what a Space did before it."""
_FIRST_POLL_S, _POLL_S = 0.5, 5.0
_LOG_LINES = 20

_FAILED = {
    "BUILD_ERROR": "it could not be built",
    "CONFIG_ERROR": "its README.md is not as the Hub wants it",
    "NO_APP_FILE": "its app.py is missing",
    "RUNTIME_ERROR": "its app ended",
    "DELETING": "it is being deleted",
}
_ASLEEP = frozenset({"SLEEPING", "STOPPED"})
_PAUSED = "PAUSED"
_AGAIN = frozenset({"RUNTIME_ERROR", "BUILD_ERROR"})
"""What may have failed for a reason that has passed: tried once more where nothing was changed."""
_WORDS = {"BUILDING": "building", "RUNNING_BUILDING": "building", "APP_STARTING": "starting", "RUNNING_APP_STARTING": "starting"}


def until_it_runs(put: Published, *, restarted: bool, wait_s: float, say: Progress) -> Runtime:
    """What a Space is doing once it runs the commit that was put there. `restarted` says that something else of it changed as well.

    Raises HubError where it fails, with the end of its log; is paused; or does not run after `wait_s`.
    """
    began, pause, woken = time.monotonic(), _FIRST_POLL_S, False
    changed, changed_at = bool(put.sent) or restarted, began
    told_by_commit = bool(put.sent) and not restarted
    while True:
        now = hub_spaces.runtime(put.repo)
        waited = time.monotonic() - began
        busy = now.stage not in (*_FAILED, *_ASLEEP, _PAUSED, "RUNNING")
        changed = changed and not busy  # what is said from here on is news
        of_commit = now.revision == put.revision
        is_news = (of_commit or now.revision is None) and (not changed or (told_by_commit and of_commit) or time.monotonic() - changed_at > GRACE_S)
        if is_news and now.stage == "RUNNING":
            return now
        if is_news and not woken and (now.stage in _ASLEEP or (now.stage in _AGAIN and not put.sent and not restarted)):
            hub_spaces.restart(put.repo)
            woken = changed = True
            changed_at, told_by_commit = time.monotonic(), False
        elif is_news and now.stage in _FAILED:
            raise _failed(put, now)
        elif is_news and now.stage == _PAUSED:
            hint = f"Start it at {put.url}/settings, and deploy again to have it checked."
            raise HubError(f"the Space {put.url} is complete, and paused.", hint=hint, code="incomplete")
        if waited > wait_s:
            hint = f"Look at {put.url}; deploy again to go on waiting for it and have it checked."
            raise HubError(f"the Space {put.url} is complete, and after {waited:.0f} s not running yet ({now.stage}).", hint=hint, code="incomplete")
        say(f"the Space is {_WORDS.get(now.stage, 'starting')}", round(waited), None)
        time.sleep(min(pause, max(0.0, wait_s - waited) + 0.1))
        pause = min(_POLL_S, pause * 1.3)


def _failed(put: Published, now: Runtime) -> HubError:
    """What a Space's log says at its end, without anything that looks like a token."""
    said = hub_spaces.logs(put.repo, build=now.stage != "RUNTIME_ERROR", lines=_LOG_LINES).strip() or now.message.strip()
    said = without_tokens(said)
    message = f"the Space {put.url} does not run: {_FAILED[now.stage]}."
    hint = f"All of its log: {put.url}?logs={'container' if now.stage == 'RUNTIME_ERROR' else 'build'}"
    return HubError(f"{message} The end of its log:\n{said}" if said else message, hint=hint, code="incomplete")
