"""A demo Space for a published model: made, waited for, and seen to serve that very model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune.errors import CallError, HubError
from voxtune.publishing import hub, hub_spaces, records, run_record, space_check, space_files, space_token, space_wait
from voxtune.publishing.account import endpoint
from voxtune.publishing.belongings import DEPLOYING_LOCK
from voxtune.publishing.calls import Progress, api, call, silent
from voxtune.publishing.hub import Published, Remote
from voxtune.publishing.run_record import RunRecord
from voxtune.publishing.space_files import Demo, Weights
from voxtune.workspace import RunFolder


def deploy(
    run: RunFolder,
    repo: str,
    *,
    private: bool = True,
    hardware: str | None = None,
    space_token: str | None = None,
    wait_s: float = space_wait.WAIT_S,
    replace: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make a Space that serves the published model of a run, wait until it runs, and see that it does.

    Called again it sends only what changed, and looks again. Public, if asked for, it becomes once it was seen to serve the tuned
    model. For a private model it needs a token that can only read: `space_token`, else VOXTUNE_SPACE_TOKEN. Raises CallError where
    there is no published model or no such token, InUseError, and HubError where it does not build, still builds after `wait_s`, or
    serves something else; each says what is there by then.
    """
    with files.locked(run.path / DEPLOYING_LOCK):
        say = progress or silent
        return _deployed(run, repo, private=private, hardware=hardware, space_token=space_token, wait_s=wait_s, replace=replace, say=say)


def _deployed(
    run: RunFolder, repo: str, *, private: bool, hardware: str | None, space_token: str | None, wait_s: float, replace: bool, say: Progress
) -> dict[str, Any]:
    say("looking at what is published", 0, None)
    record, model, base = _published(run)
    before = hub.look("space", repo)
    given = _token(repo, given=space_token, has_one=before is not None, needed_for=_private(model, base))
    runs_on = hardware or (hub_spaces.runtime(repo).requested_hardware if before else None) or ""
    demo = Demo(repo=repo, record=record, model=model, base=base, on_zero_gpu=runs_on.startswith("zero"))
    probes = space_check.probes(run, record)

    if before is None:
        _make(run, repo, hardware=hardware, token=given)
    shown_already = before is not None and not before.private
    with tempfile.TemporaryDirectory() as folder:
        space_files.stage(demo, Path(folder))
        put = _publish(repo, Path(folder), private=private or not shown_already, replace=replace, say=say)
        told = _told(run, put, demo, token=given)
        restarted = before is not None and _adjusted(run, repo, hardware=hardware, token=given)
        records.note(run.path, "space", told)

        runtime = space_wait.until_it_runs(put, restarted=restarted, wait_s=wait_s, say=say)
        told |= {"stage": runtime.stage, "hardware": runtime.hardware, "address": hub_spaces.address(repo)}
        records.note(run.path, "space", told)
        verification = space_check.verify(repo, probes, is_private=put.private, run=run, say=say)
        told |= {"verification": verification.as_json()}
        records.note(run.path, "space", told)
        if verification.is_wrong:
            seen = "" if put.private else " It is public."
            hint = f"It is at {put.url}. Publish the model again and deploy again; if that does not help, report it."
            raise HubError(f"{verification.reason}.{seen}", hint=hint, code="incomplete")
        if not private and put.private and verification.state == "verified":
            told |= _publish(repo, Path(folder), private=False, replace=replace, say=say).as_json() | {"sent": list(put.sent)}
            records.note(run.path, "space", told)
    return told


def _published(run: RunFolder) -> tuple[RunRecord, Weights, Weights | None]:
    """What is known of a run, and its model and base as they are at the Hub. Raises CallError where it is not published as it is now."""
    said = records.read(run.path).get("model", {})
    if not said:
        raise CallError(f"the model of {run.path} is not published yet.", hint=f"Publish it first: voxtune push model {run.shell} REPO")
    again = f"Publish it again: voxtune push model {run.shell} {said['repo']}"
    now = {path: file.sha256 for path, file in hub.local_files(run.model).items() if path.endswith(".safetensors")}
    if said["sha256_of_run"] != now:
        raise CallError(f"the run was trained further since its model was published at {said['repo']}.", hint=again)
    record = run_record.read(run)
    model = _weights(said["repo"], said["revision"], hint=again)
    if any(said["sha256"].get(name) != sha256 for name, sha256 in model.sha256.items()):
        raise HubError(f"the weights in {model.repo} are not those that were published.", hint=again, code="conflict")
    if record.hub_base is None:
        return record, model, None
    now_there = None if said.get("base_revision") else hub.look("model", record.hub_base)
    revision: str = said.get("base_revision") or (now_there.revision if now_there else "main")
    return record, model, _weights(record.hub_base, revision, hint="Check whether this account may still see it.")


def _weights(repo: str, revision: str, *, hint: str) -> Weights:
    there = hub.look("model", repo, revision)
    if there is None:
        raise HubError(f"there is no {repo} at {revision[:12]} at the Hub any more.", hint=hint, code="not_found")
    large = {path: file for path, file in there.files.items() if file.sha256}
    return space_files.weights(repo, revision, {path: file.size for path, file in large.items()}, {path: file.sha256 or "" for path, file in large.items()})


def _private(*models: Weights | None) -> tuple[str, ...]:
    """Those that the Space needs a token for."""
    looked: list[Remote | None] = [hub.look("model", weights.repo) for weights in models if weights]
    return tuple(remote.repo for remote in looked if remote and (remote.private or remote.gated))


def _token(repo: str, *, given: str | None, has_one: bool, needed_for: tuple[str, ...]) -> str | None:
    """The token to put into the Space, checked; None where it needs none, or has one. Raises CallError."""
    token = space_token.given(given)
    if token is not None:
        space_token.check(token, needed_for)
    elif needed_for and not (has_one and space_token.SECRET in hub_spaces.secrets(repo)):
        raise space_token.missing(repo, needed_for)
    return token


def _make(run: RunFolder, repo: str, *, hardware: str | None, token: str | None) -> None:
    """A private Space with nothing in it but its secret; noted at once, so that it is found whatever comes next."""
    client = api()
    secrets = [{"key": space_token.SECRET, "value": token}] if token else None
    options: dict[str, Any] = {"space_sdk": "gradio", "space_hardware": hardware, "space_secrets": secrets}
    call(f"make {repo}", lambda: client.create_repo(repo, repo_type="space", private=True, exist_ok=True, **options))
    place: dict[str, Any] = {"kind": "space", "repo": repo, "url": f"{endpoint()}/spaces/{repo}", "private": True, "revision": None}
    records.note(run.path, "space", {**place, "token_mark": space_token.mark(token) if token else None, "verification": None})


def _adjusted(run: RunFolder, repo: str, *, hardware: str | None, token: str | None) -> bool:
    """Give a Space that is there another token or hardware than it has; whether that restarts it."""
    changed = False
    if token is not None and not (_mark(run, repo) == space_token.mark(token) and space_token.SECRET in hub_spaces.secrets(repo)):
        hub_spaces.set_secret(repo, space_token.SECRET, token)
        changed = True
    if hardware is not None and hub_spaces.runtime(repo).requested_hardware != hardware:
        hub_spaces.request_hardware(repo, hardware)
        changed = True
    return changed


def _mark(run: RunFolder, repo: str) -> str | None:
    """Of the token that was put into this Space, and not into one before it."""
    said = records.read(run.path).get("space", {})
    return said.get("token_mark") if said.get("repo") == repo else None


def _publish(repo: str, folder: Path, *, private: bool, replace: bool, say: Progress) -> Published:
    return hub.publish(
        "space", repo, folder, private=private, message="Deploy a demo with voxtune", ours=space_files.is_ours, replace=replace, sdk="gradio", progress=say
    )


def _told(run: RunFolder, put: Published, demo: Demo, *, token: str | None) -> dict[str, Any]:
    """For published.json, until it is known how the Space does."""
    mark = space_token.mark(token) if token else _mark(run, demo.repo)
    served = {"model": demo.model.repo, "model_revision": demo.model.revision, "suggested_hardware": demo.hardware}
    return {**put.as_json(), **served, "token_mark": mark, "stage": None, "hardware": None, "address": None, "verification": None}
