"""A run's model on the Hub: its adapter, or weights that need no other, with the card; only what a reader needs, in one commit."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any, Literal

from voxtune import __version__, files
from voxtune.errors import CallError, HubError, InUseError, ModelError
from voxtune.publishing import consent, hub, model_card, records, run_record
from voxtune.publishing.account import check_name, publisher
from voxtune.publishing.belongings import PUBLISHING_LOCK, beside
from voxtune.publishing.calls import Progress, silent
from voxtune.publishing.card_text import check_licence
from voxtune.publishing.hub import Published
from voxtune.publishing.run_record import RunRecord, What
from voxtune.training import runs
from voxtune.training.status import ACTIVE
from voxtune.workspace import RunFolder

STEP: Literal["model"] = "model"
"""Its name in published.json."""

CARD = "README.md"
_FILES = (
    *("config.json", "generation_config.json", "adapter_config.json", "processor_config.json", "preprocessor_config.json", "tekken.json", "params.json"),
    *("adapter_model.safetensors", "model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json", "consolidated.safetensors"),
)
_HANDOVER_S = 40.0
"""A process that has ended its run may hold it a little longer, while Trackio writes."""


def push(
    run: RunFolder,
    repo: str,
    *,
    what: Literal["auto", "adapter", "merged"] = "auto",
    private: bool = True,
    license: str | None = None,  # noqa: A002 - the Hub's word for it
    replace: bool = False,
    progress: Progress | None = None,
) -> Published:
    """Publish a run's model with its card, and keep in the run's published.json what went where.

    `auto` is the adapter where others can load its base, else merged weights; a run that trained all weights has only those. A run
    that was not evaluated can be published, and its card says so. Raises CallError, InUseError for a run at work, and what `hub.publish` raises.
    """
    say = progress or silent
    check_name(repo)
    if license is not None:
        check_licence(license)
    _refuse_unfinished(run)
    consent.require(run.path)
    known = run_record.read(run)
    chosen = decided(known, what)
    _, name = publisher(repo)
    record = with_changes(known, what=chosen, repo=name, private=private, license=license or known.license)
    with files.locked(run.path / PUBLISHING_LOCK), beside(run.path, STEP) as place:
        folder = place / "model"
        with files.locked(run.lock, wait_s=_HANDOVER_S):
            _refuse_unfinished(run, locked=True)
            of_run = _weights(run.model)
            _fill(run, record, folder, say)
        record = with_changes(record, mistral_format=(folder / "consolidated.safetensors").exists())
        files.write_text(folder / CARD, model_card.build(record))
        _refuse_paths(folder, run)
        of_repo, noting = _weights(folder), records.noting_the_start(run.path, STEP, STEP, name, say)
        published = hub.publish(STEP, name, folder, private=private, message=_message(record), ours=is_ours, replace=replace, progress=noting)
        _note(run, published, record, {"sha256": of_repo, "sha256_of_run": of_run})
    return published


def push_card(run: RunFolder, *, progress: Progress | None = None) -> Published:
    """Make the card anew and send it alone to where the run's model is published.

    Raises CallError where it is not published, or the model there is not the run's as it is now.
    """
    known = run_record.read(run)
    said = records.read(run.path).get(STEP, {})
    if known.repo is None:
        raise CallError(f"the model of {run.path} is not published yet.", hint=f"Publish it, with its card: voxtune push model {run.shell} REPO")
    if said.get("sha256_of_run") != _weights(run.model):
        hint = f"Publish both: voxtune push model {run.shell} {known.repo}"
        raise CallError(f"the run was trained further since its model was published at {known.repo}; its card would tell of another model.", hint=hint)
    remote = hub.look(STEP, known.repo)
    if remote is None:
        hint = f"Publish it again: voxtune push model {run.shell} {known.repo}"
        raise HubError(f"there is no {known.repo} at the Hub any more.", hint=hint, code="not_found")
    record = with_changes(known, private=remote.private)
    if {path: file.sha256 for path, file in remote.files.items() if path.endswith(".safetensors")} != said.get("sha256"):
        hint = f"Publish both: voxtune push model {run.shell} {known.repo}"
        raise CallError(f"{remote.url} holds another model now than this run's; its card would tell of the wrong one.", hint=hint)
    with files.locked(run.path / PUBLISHING_LOCK), beside(run.path, STEP) as place:
        folder = place / "model"
        files.write_text(folder / CARD, model_card.build(record))
        message = "Update the model card, by voxtune"
        return hub.publish(STEP, known.repo, folder, private=remote.private, message=message, ours=lambda _: False, replace=True, progress=progress)


def decided(record: RunRecord, what: Literal["auto", "adapter", "merged"]) -> What:
    """What is published. Raises CallError for what there is not, or what nobody else could load."""
    if record.method == "full":
        if what == "adapter":
            raise CallError("this run trained all weights: there is no adapter.", hint="Leave out --what, or use --what merged.")
        return "full"
    if what == "adapter" and record.hub_base is None:
        base = "the practice model, which comes with voxtune" if record.base else "a folder of this machine"
        raise CallError(f"nobody else could load this adapter: its base is {base}.", hint="Use --what merged: weights that need no base.")
    return run_record.planned(record.method, record.base) if what == "auto" else what


def is_ours(path: str) -> bool:
    """Whether a file of a model's repository is one that is published here, and may be removed by a later publication without it."""
    return path == CARD or any(fnmatch.fnmatchcase(path, pattern) for pattern in _FILES)


def _refuse_unfinished(run: RunFolder, *, locked: bool = False) -> None:
    now = runs.look(run, locked=locked)
    if now.state in ACTIVE:
        raise InUseError(f"{run.path} is {now.state}: its model is not finished.", hint=f"Wait until it is, or stop it: voxtune runs stop {run.shell}")
    if now.state != "finished" or not run.model.is_dir():
        raise CallError(
            f"{run.path} has not finished: it has {now.state}, and its model is not what it will be.", hint=f"Go on with it: voxtune runs resume {run.shell}"
        )


def _fill(run: RunFolder, record: RunRecord, folder: Path, say: Progress) -> None:
    if record.what == "adapter":
        say("gathering files", 0, None)
        folder.mkdir()
        for path in sorted(run.model.iterdir()):
            if is_ours(path.name) and path.name != CARD:
                _link(path, folder / path.name)
    else:
        from voxtune.model import merging  # torch, which nothing else here needs

        merging.export(run, folder, say)
        for path in folder.iterdir():
            if not is_ours(path.name):
                path.unlink()
    for file in folder.glob("*.json"):
        if file.name != "tekken.json":
            _cleaned(file, record)


def _link(path: Path, place: Path) -> None:
    """The same file under another name where the disk can do that, else a copy."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)


def _cleaned(file: Path, record: RunRecord) -> None:
    """Leave no path of this machine in a JSON file; an adapter names its base by its id and commit."""
    before = json.loads(file.read_text(encoding="utf-8"))
    after = _without_paths(before)
    if file.name == "adapter_config.json":
        after |= {"base_model_name_or_path": record.hub_base, "revision": record.base_revision}
    if after != before:
        files.write_json(file, after)


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_paths(inner) for name, inner in value.items() if not (isinstance(inner, str) and _is_path(inner))}
    return [_without_paths(inner) for inner in value] if isinstance(value, list) else value


def _is_path(text: str) -> bool:
    return text.startswith(("/", "~", "\\\\")) or text[1:3] in (":\\", ":/")


def _refuse_paths(folder: Path, run: RunFolder) -> None:
    """Raise ModelError if a file that is to be sent still names a place on this machine; it would be our own mistake."""
    places = [str(place) for place in (Path.home(), run.path.resolve(), Path(__file__).parent.parent) if len(place.parts) > 2]
    for file in sorted(folder.iterdir()):
        if file.name in ("tekken.json", "params.json"):
            continue  # the base's own, in which any letters may follow each other
        with file.open("rb") as stream:
            # Of weights their head: numbers name nothing.
            text = stream.read(int.from_bytes(stream.read(8), "little")) if file.suffix == ".safetensors" else stream.read()
        if named := next((place for place in places if place.encode() in text), None):
            raise ModelError(f"{file.name} names {named}, a place on this machine; nothing was sent.", hint="Report this.")


def _weights(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of weights."""
    return {path: file.sha256 or "" for path, file in hub.local_files(folder).items() if path.endswith(".safetensors")}


def _note(run: RunFolder, published: Published, record: RunRecord, digests: dict[str, dict[str, str]]) -> None:
    about: dict[str, Any] = {"what": record.what, "base": record.hub_base, "base_revision": record.base_revision, "license": record.license}
    records.finished(run.path, STEP, {**published.as_json(), **about, "mistral_format": record.mistral_format, **digests})


def _message(record: RunRecord) -> str:
    said = {"adapter": "Adapter", "merged": "Merged weights", "full": "Weights"}[record.what]
    return f"{said} and card, by voxtune {__version__}"
