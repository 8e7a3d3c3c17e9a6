"""What the commands that publish have in common: who, where, whose voice, and a last question before anything leaves the machine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from voxtune.cli import output
from voxtune.errors import CallError
from voxtune.publishing import consent
from voxtune.publishing.account import Account
from voxtune.publishing.calls import Progress

yes_option = click.option("--yes", is_flag=True, help="Answer every question with yes; among them that the voice is yours, or its owner agreed.")
public_option = click.option("--public", is_flag=True, help="For everybody to see. Without it, for you alone.")
license_option = click.option("--license", "license_id", metavar="ID", help="Its licence, by the Hub's name: cc0-1.0, cc-by-4.0, cc-by-nc-4.0, apache-2.0 ...")
voice_option = click.option("--voice", type=click.Choice(list(consent.VOICES)), help="Whose voice it is: your own, of somebody who agreed, or synthetic.")
replace_option = click.option("--replace", is_flag=True, help="Publish into a repository that holds something else.")


def assure_answers(*, yes: bool) -> None:
    """Raise CallError where there is nobody to ask and --yes was not given; before anything else is done."""
    if not yes and not sys.stdin.isatty():
        raise CallError("this publishes or deletes, and there is nobody here to confirm it.", hint="Add --yes, or call it from a terminal.")


def confirmed(question: str, *, yes: bool) -> None:
    """Ask on the terminal, and end the command where the answer is no. Raises CallError without a terminal."""
    assure_answers(yes=yes)
    if not yes and not click.confirm(question, err=True):
        raise click.Abort


def consented(folder: Path, voice: str | None, *, yes: bool, account: Account) -> None:
    """See that somebody has confirmed whose voice is in a dataset's or run's folder; asked once, and kept there."""
    before = consent.given(folder)
    if voice is None and before is None:
        for name, meaning in consent.VOICES.items():
            output.console().print(f"  {name}: {meaning}")
        confirmed("These are recordings of my own voice, or their speaker agreed to this being published.", yes=yes)
        voice = consent.EITHER if yes else click.prompt("Whose voice", type=click.Choice(list(consent.VOICES)), default="own", err=True)
    if voice is not None and (before is None or before.voice != voice):
        consent.give(folder, voice, by=account.name)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar for what publishing says of itself; the client's own bars only on a terminal."""
    if os.environ.get("VOXTUNE_PROGRESS") == "lines" or not sys.stderr.isatty():
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
    with output.bar(what, None) as move:
        yield lambda now, done, total: move(description=f"{what}: {now}", completed=done, total=total)
