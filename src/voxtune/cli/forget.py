"""`voxtune forget`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from voxtune.cli.output import bar, console, emit, json_option
from voxtune.cli.runs import workspace_option

if TYPE_CHECKING:
    from voxtune.publishing.forgetting import Plan

_SHOWN = 10


@click.command()
@click.argument("data", required=False, type=click.Path(path_type=Path))
@workspace_option
@click.option("--runs", is_flag=True, help="Also the runs that were trained on them: models, checkpoints and logs.")
@click.option("--remote", is_flag=True, help="Also what was published of them at the Hugging Face Hub.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def forget(ctx: click.Context, data: Path | None, workspace: Path, runs: bool, remote: bool, yes: bool, as_json: bool) -> None:
    """Delete recordings, and if asked what was published of them.

    DATA is a dataset's folder; without it, the one that the studio records into. Everything that voxtune wrote there goes, the takes
    in the trash too, and what was computed of clips to train faster; other files stay. It shows what would go, and asks. This cannot be
    taken back, and copies elsewhere stay.
    """
    from voxtune.cli.publishing_options import assure_answers, confirmed
    from voxtune.publishing import forgetting
    from voxtune.workspace import Workspace

    assure_answers(yes=yes)
    planned = forgetting.plan(data or Workspace(workspace).recordings().path, runs=runs, remote=remote, workspace=workspace)
    if not as_json:
        _announce(planned)
    confirmed("Delete all this? It cannot be taken back.", yes=yes)
    with bar("forgetting", None) as move:
        told = forgetting.forget(planned, progress=lambda what, done, total: move(description=what, completed=done, total=total))
    if as_json:
        emit(told)
    else:
        _tell(told)
    ctx.exit(1 if told["remote"]["failed"] else 0)


def _announce(planned: Plan) -> None:
    out, said = console(), planned.as_json()
    trash = f", {said['trashed']} of them in the trash" if said["trashed"] else ""
    takes = f" with {said['takes']} takes{trash}" if said["takes"] else ""
    out.print(f"This deletes {said['files']} files, {said['bytes'] / 1e6:.1f} MB, of {escape(said['folder'])}{takes}", soft_wrap=True)
    if said["drafts"]:
        out.print(f"  among them {said['drafts']} that were sent, tried or fetched through the page", soft_wrap=True)
    for run in said["runs"]:
        out.print(f"  with the run {escape(run)}", soft_wrap=True)
    for repo in said["repos"]:
        out.print(f"  with the {repo['kind']} {escape(repo['repo'])} at the Hub, and its history", soft_wrap=True)
    stays = [f"{path}, which is not voxtune's" for path in said["left"][:_SHOWN]]
    stays += [f"{len(said['left']) - _SHOWN} more files that are not voxtune's"] if len(said["left"]) > _SHOWN else []
    stays += [f"the run {run}, which heard them (--runs)" for run in said["other_runs"]]
    stays += [f"the {repo['kind']} {repo['repo']} at the Hub, and the record of it (--remote)" for repo in said["other_repos"]]
    for each in stays:
        out.print(f"It leaves {escape(each)}", soft_wrap=True)


def _tell(told: dict[str, Any]) -> None:
    out, remote = console(), told["remote"]
    out.print(f"{told['files']} files deleted, {told['bytes'] / 1e6:.1f} MB.", soft_wrap=True)
    for state, words in (("deleted", "deleted"), ("gone", "was not there any more")):
        for repo in remote[state]:
            out.print(f"{repo['kind'].capitalize()} {escape(repo['repo'])}: {words}.", soft_wrap=True)
    for repo in remote["failed"]:
        out.print(f"[red]{repo['kind'].capitalize()} {escape(repo['repo'])} is still there:[/] {escape(repo['message'])}", soft_wrap=True)
    if remote["failed"]:
        out.print("It stays on record here: call it again to try again.", soft_wrap=True)
