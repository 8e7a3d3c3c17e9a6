"""How results are shown: JSON on standard output, tables and progress on standard error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")


def console() -> Console:
    """Where people read: standard error, so that standard output holds data alone."""
    return Console(stderr=True, highlight=False)


def emit(value: Any) -> None:
    """Print the one JSON document of a command."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


@contextlib.contextmanager
def working() -> Iterator[None]:
    """While libraries work, what they print goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A progress bar on a terminal, nothing otherwise; call what it gives with `advance=` or `completed=`."""
    if os.environ.get("VOXTUNE_PROGRESS") == "lines":
        yield _in_lines(what, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    terminal = console()
    with Progress(*columns, console=terminal, disable=not terminal.is_terminal, transient=True) as progress:
        task: TaskID = progress.add_task(what, total=total)

        def move(**changes: Any) -> None:
            progress.update(task, **changes)

        yield move


def _in_lines(what: str, total: int | None) -> Callable[..., None]:
    """For a program that started us and reads our standard error: one JSON object a line."""
    now: dict[str, Any] = {"what": what, "done": 0, "total": total}

    def move(*, advance: int = 0, description: str | None = None, completed: int | None = None, total: int | None = None) -> None:
        anew = description is not None and description != now["what"]  # another piece of work: of how much is not known until it is told
        now["done"] = now["done"] + advance if completed is None else completed
        now["total"] = total if total or anew else now["total"]
        now["what"] = description or now["what"]
        click.echo(json.dumps({"progress": now}), err=True)

    return move


def quiet_libraries() -> None:
    """No bar for the loading of local weights, and no word of what libraries will rename; downloads from the Hub keep their bars."""
    import warnings

    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
