"""`voxtune deploy`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from voxtune.cli.output import console, emit, json_option
from voxtune.cli.publishing_options import assure_answers, confirmed, progress, public_option, replace_option, yes_option
from voxtune.cli.runs import workspace_option
from voxtune.publishing.account import publisher
from voxtune.publishing.space_wait import WAIT_S
from voxtune.workspace import RunFolder


@click.command()
@click.argument("run_name", metavar="RUN")
@click.argument("repo")
@click.option("--hardware", metavar="NAME", help="By the Hub's name: cpu-basic, zero-a10g, l4x1 ... What is not free costs from its start on.")
@public_option
@click.option("--wait", "wait_s", type=click.FloatRange(min=0), default=WAIT_S, show_default=True, metavar="SECONDS", help="How long it may take to run.")
@replace_option
@workspace_option
@yes_option
@json_option
def deploy(run_name: str, repo: str, hardware: str | None, public: bool, wait_s: float, replace: bool, workspace: Path, yes: bool, as_json: bool) -> None:
    """A demo Space that serves a published model, and is seen to.

    REPO is NAME or OWNER/NAME. It waits until the Space runs and sends one of the held-out recordings through it: it must come back
    as the text that the tuned model gave here. A private model needs a token that can only read, in the environment variable
    VOXTUNE_SPACE_TOKEN; it becomes the Space's secret.
    """
    from voxtune.training import opening

    began = time.monotonic()
    assure_answers(yes=yes)
    run = opening.find(run_name, workspace)
    account, name = publisher(repo)
    _announce(run, account.name, f"{account.endpoint}/spaces/{name}", public=public, hardware=hardware)
    confirmed("Deploy it?", yes=yes)
    try:
        told = _deployed(run, name, private=not public, hardware=hardware, wait_s=wait_s, replace=replace)
    except KeyboardInterrupt:
        _say_what_is_there(run, name)
        raise
    if as_json:
        emit({**told, "seconds": round(time.monotonic() - began, 1)})
    else:
        _tell(told, public=public)


def _announce(run: RunFolder, who: str, place: str, *, public: bool, hardware: str | None) -> None:
    from voxtune.publishing import records

    model = records.read(run.path).get("model", {})
    out = console()
    out.print(f"A demo of {escape(str(model.get('repo', run.path)))} goes to {escape(place)}", soft_wrap=True)
    if not public:
        out.print(f"  private: only {escape(who)} and who is let in can use it")
    elif model.get("private", True):
        out.print("  [bold]public: anybody can use the model through it, though the model itself is private[/]")
    else:
        out.print("  public: anybody can use it")
    if hardware and hardware not in ("cpu-basic", "zero-a10g"):
        out.print(f"  [bold]on {escape(hardware)}, which the Hub charges for by the minute until you stop it[/]")
    out.print("  One of the recordings that were held out is sent through it, to see that it serves this model; nothing of it is kept there.", soft_wrap=True)


def _deployed(run: RunFolder, name: str, *, private: bool, hardware: str | None, wait_s: float, replace: bool) -> dict[str, Any]:
    with progress("deploying") as say:
        from voxtune.publishing import space

        return space.deploy(run, name, private=private, hardware=hardware, wait_s=wait_s, replace=replace, progress=say)


def _say_what_is_there(run: RunFolder, name: str) -> None:
    from voxtune.publishing import records

    space = records.read(run.path).get("space", {})
    complete = space.get("repo") == name and space.get("revision") and "verification" in space
    said = f"{space['url']} is complete and goes on building; deploy again to have it checked." if complete else "Deploy again: it goes on from what is there."
    console().print(said, soft_wrap=True)


def _tell(told: dict[str, Any], *, public: bool) -> None:
    checked = told["verification"]
    out = console()
    out.print(f"{'Everything was there' if not told['sent'] else 'It runs'}: {escape(told['url'])}", soft_wrap=True)
    if checked["state"] == "verified":
        out.print(
            f"Seen to serve the tuned model: it hears {escape(repr(checked['heard']))}, and the base {escape(repr(checked['base_text']))}.", soft_wrap=True
        )
    else:
        out.print(f"[yellow]Whether it serves the tuned model could not be seen: {escape(checked['reason'])}.[/]", soft_wrap=True)
        if public and told["private"]:
            out.print("[yellow]So it stayed private. Deploy it again once that can be seen.[/]")
    if told["hardware"] == "cpu-basic" != told["suggested_hardware"]:
        out.print(f"[yellow]It runs on free hardware and will be slow; {told['suggested_hardware']} suits it (--hardware, paid).[/]", soft_wrap=True)
