"""`voxtune card`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from voxtune.cli.output import console, emit, json_option
from voxtune.cli.publishing_options import yes_option
from voxtune.cli.runs import workspace_option

if TYPE_CHECKING:
    from voxtune.workspace import RunFolder


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--push", is_flag=True, help="Also send it to where the run's model is published; nothing else is sent.")
@workspace_option
@yes_option
@json_option
def card(run_name: str, push: bool, workspace: Path, yes: bool, as_json: bool) -> None:
    """The model card of a run, from its own records.

    It is written into the run as README.md. Where there is no evaluation, or a record is missing, the card says so.
    """
    from voxtune import files
    from voxtune.publishing import model_card, run_record
    from voxtune.training import opening

    run = opening.find(run_name, workspace)
    began = time.monotonic()
    record = run_record.read(run)
    file = run.path / "README.md"
    files.write_text(file, model_card.build(record))
    sent = _sent(run, record.repo, yes=yes) if push else {}
    if as_json:
        emit({"card": str(file), **sent, "seconds": round(time.monotonic() - began, 3)})
    else:
        console().print(escape(f"{file}; {sent['url']}" if sent else str(file)), soft_wrap=True)


def _sent(run: RunFolder, repo: str | None, *, yes: bool) -> dict[str, Any]:
    from voxtune.cli.publishing_options import assure_answers, confirmed, progress
    from voxtune.publishing import model_repo
    from voxtune.publishing.account import publisher

    assure_answers(yes=yes)
    if repo is not None:
        account, name = publisher(repo)
        console().print(f"You are {escape(account.name)}; the card goes to {escape(f'{account.endpoint}/{name}')}.", soft_wrap=True)
        confirmed("Send it?", yes=yes)
    with progress("publishing") as say:
        return model_repo.push_card(run, progress=say).as_json()
