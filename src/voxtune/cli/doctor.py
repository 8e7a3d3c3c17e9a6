"""`voxtune doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from voxtune.cli.output import console, emit, json_option, working
from voxtune.cli.run_folder import run_at
from voxtune.errors import CallError
from voxtune.workspace import RunFolder

if TYPE_CHECKING:
    from voxtune.doctor.check import Check

COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "unknown": "dim"}


@click.command()
@click.argument("folders", metavar="[RUN]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--bundle", "target", type=click.Path(path_type=Path), metavar="FILE.zip", help="New zip to send with a bug report.")
@json_option
def doctor(folders: tuple[Path, ...], target: Path | None, as_json: bool) -> int:
    """What this machine has and lacks, and a bundle for bug reports.

    The bundle holds these findings, and of each RUN, or of all runs below this folder, its settings, state, events and log. It holds no audio,
    no transcripts, no weights and no secrets. The exit code is 1 where something keeps voxtune from working.
    """
    from voxtune.doctor import bundle
    from voxtune.doctor.checks import checks

    runs = [run_at(folder) for folder in folders]
    if target is not None:
        bundle.refuse_if_used(target)
    elif runs:
        raise CallError("a RUN goes into a bundle, and there is no --bundle.", hint="Add --bundle FILE.zip.")
    with working():
        found = checks(Path.cwd())
    ok = all(check.state != "error" for check in found)
    names = [] if target is None else bundle.write(target, found, runs or _runs_below(Path.cwd()))
    if as_json:
        emit({"ok": ok, "checks": [asdict(check) for check in found], "bundle": None if target is None else str(target)})
    else:
        show(found)
        if target is not None:
            console().print(f"{escape(str(target))}: {', '.join(map(escape, names))}. Look into it before you send it.", soft_wrap=True)
    return 0 if ok else 1


def show(found: Iterable[Check]) -> None:
    """The findings, and what to do about them."""
    table = Table()
    for title in ("", "state", "finding", "what to do"):
        table.add_column(title, overflow="fold")
    for check in found:
        table.add_row(check.name.replace("_", " "), f"[{COLOURS[check.state]}]{check.state}[/]", escape(check.message), escape(check.hint))
    console().print(table)


def _runs_below(folder: Path) -> list[RunFolder]:
    """None, and a word about it, where what is broken on this machine keeps them from being found: that is when a bundle is needed."""
    try:
        from voxtune.training.opening import below

        return below(folder)
    except (ImportError, OSError) as error:
        console().print(f"[yellow]The runs below this folder cannot be looked for: {escape(str(error))}. Name those that should go in.[/]", soft_wrap=True)
        return []
