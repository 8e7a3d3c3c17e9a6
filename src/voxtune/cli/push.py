"""`voxtune push dataset|model|tracking`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from voxtune.cli.output import console, emit, json_option
from voxtune.cli.publishing_options import (
    assure_answers,
    confirmed,
    consented,
    license_option,
    progress,
    public_option,
    replace_option,
    voice_option,
    yes_option,
)
from voxtune.cli.runs import workspace_option
from voxtune.publishing.account import publisher

if TYPE_CHECKING:
    from voxtune.publishing.account import Account


@click.group()
def push() -> None:
    """Publish a dataset, a model or a run's figures to the Hugging Face Hub."""


@push.command()
@click.argument("data")
@click.argument("repo")
@public_option
@license_option
@voice_option
@replace_option
@yes_option
@json_option
def dataset(data: str, repo: str, public: bool, license_id: str | None, voice: str | None, replace: bool, yes: bool, as_json: bool) -> None:
    """Publish recordings with their transcripts, for the Hub's viewer to play and `datasets` to load.

    REPO is NAME or OWNER/NAME. What is there already is not sent again; clips that are no longer in DATA are removed there.
    """
    from voxtune.dataset import store
    from voxtune.publishing import dataset_repo

    began = time.monotonic()
    assure_answers(yes=yes)
    folder = store.locate(data).parent
    licence = dataset_repo.licence_of(folder, license_id, private=not public)
    account, name = publisher(repo)
    _announce(account, "recordings", folder, f"datasets/{name}", public=public, licence=licence)
    consented(folder, voice, yes=yes, account=account)
    confirmed("Publish them?", yes=yes)
    with progress("publishing") as say:
        published = dataset_repo.push(data, name, private=not public, license=licence, replace=replace, progress=say)
    _tell(published.as_json() | {"license": licence}, began, as_json=as_json)


@push.command()
@click.argument("run_name", metavar="RUN")
@click.argument("repo")
@click.option(
    "--what",
    type=click.Choice(["auto", "adapter", "merged"]),
    default="auto",
    show_default=True,
    help="An adapter, or weights that need none; auto takes what others can load.",
)
@public_option
@license_option
@voice_option
@replace_option
@workspace_option
@yes_option
@json_option
def model(
    run_name: str, repo: str, what: Any, public: bool, license_id: str | None, voice: str | None, replace: bool, workspace: Path, yes: bool, as_json: bool
) -> None:
    """Publish the model of a run, with the card that its records make.

    REPO is NAME or OWNER/NAME.
    """
    from voxtune.publishing import model_repo
    from voxtune.training import opening

    began = time.monotonic()
    assure_answers(yes=yes)
    run = opening.find(run_name, workspace)
    account, name = publisher(repo)
    _announce(account, "the model", run.path, name, public=public, licence=license_id)
    consented(run.path, voice, yes=yes, account=account)
    confirmed("Publish it?", yes=yes)
    with progress("publishing") as say:
        published = model_repo.push(run, name, what=what, private=not public, license=license_id, replace=replace, progress=say)
    _tell(published.as_json(), began, as_json=as_json)


@push.command()
@click.argument("run_name", metavar="RUN")
@click.argument("space")
@workspace_option
@yes_option
@json_option
def tracking(run_name: str, space: str, workspace: Path, yes: bool, as_json: bool) -> None:
    """Put a run's curves into a private Trackio Space; nothing of the recordings goes there.

    SPACE is NAME or OWNER/NAME.
    """
    from voxtune.publishing import tracking_space
    from voxtune.training import opening

    began = time.monotonic()
    assure_answers(yes=yes)
    run = opening.find(run_name, workspace)
    account, name = publisher(space)
    _announce(account, "the figures", run.path, f"spaces/{name}", public=False, licence=None)
    confirmed("Publish them?", yes=yes)
    with progress("publishing") as say:
        published = tracking_space.sync(run, name, progress=say)
    _tell(published, began, as_json=as_json)


def _announce(account: Account, what: str, source: Path, place: str, *, public: bool, licence: str | None) -> None:
    """Who is about to publish what, where, and for whom to see."""
    to_whom = "public: anybody can find it" if public else f"private: only {account.name} and who is let in can see it"
    out = console()
    out.print(f"You are {escape(account.name)} at {escape(account.endpoint)} (token: {escape(account.source)}).", soft_wrap=True)
    out.print(f"{what.capitalize()} of {escape(str(source))} go to {escape(f'{account.endpoint}/{place}')}", soft_wrap=True)
    out.print(f"  {escape(to_whom)}{f'; licence {licence}' if licence else ''}", soft_wrap=True)


def _tell(published: dict[str, Any], began: float, *, as_json: bool) -> None:
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        emit({**published, "seconds": seconds})
        return
    sent = published.get("sent")
    news = "" if sent is None else f"{len(sent)} files sent or removed: " if sent else "Nothing had changed: "
    console().print(f"{news}{escape(str(published['url']))}", soft_wrap=True)
