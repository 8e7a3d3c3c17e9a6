"""`voxtune runs list|show|logs|stop|resume`."""

from __future__ import annotations

import codecs
import contextlib
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from voxtune.cli.output import console, emit, json_option
from voxtune.errors import CallError, VoxtuneError

if TYPE_CHECKING:
    from voxtune.training.status import Status
    from voxtune.workspace import RunFolder

workspace_option = click.option("--workspace", default=Path(), type=click.Path(path_type=Path), help="Folder to look for runs in.  [default: this one]")
run_argument = click.argument("run_name", metavar="[RUN]", required=False)


@click.group(invoke_without_command=True)
@workspace_option
@json_option
@click.pass_context
def runs(ctx: click.Context, workspace: Path, as_json: bool) -> None:
    """Training runs: list, show, logs, stop, resume.

    RUN is a run's folder or its name; without it, the newest run. Without a command, `list`.
    """
    if ctx.invoked_subcommand is None:
        _list(workspace, as_json=as_json)


@runs.command("list")
@workspace_option
@json_option
def list_(workspace: Path, as_json: bool) -> None:
    """Every run below this folder, newest first."""
    _list(workspace, as_json=as_json)


def _list(workspace: Path, *, as_json: bool) -> None:
    from voxtune.training import opening
    from voxtune.training.runs import look

    found = []
    for run in opening.below(workspace):
        try:
            found.append((run, look(run)))
        except VoxtuneError as error:
            console().print(f"[yellow]{escape(error.message)}[/]", soft_wrap=True)
    if as_json:
        emit([_as_json(run, status) for run, status in found])
        return
    table = Table()
    for name in ("run", "state", "step", "epoch", "WER", "left"):
        table.add_column(name)
    for run, status in found:
        table.add_row(escape(str(run.path)), _state(status), f"{status.step}/{status.total_steps}", f"{status.epoch:.1f}", _rates(status), _left(status))
    console().print(table if found else "There is no run here. `voxtune train` starts one.")


@runs.command()
@run_argument
@workspace_option
@json_option
def show(run_name: str | None, workspace: Path, as_json: bool) -> None:
    """State, curves and the latest recognised texts of a run."""
    from voxtune.training import events, opening
    from voxtune.training.runs import look

    run = opening.find(run_name, workspace)
    status = look(run)
    metrics = events.surviving_metrics(run.events)
    samples: dict[str, Any] = next((event for event in reversed(events.read(run.events)[0]) if event.get("event") == "samples"), {})
    if as_json:
        emit({**_as_json(run, status), "metrics": metrics, "samples": samples.get("samples", [])})
        return
    out = console()
    left = f", {_left(status)}" if status.seconds_left else ""
    out.print(f"[bold]{escape(str(run.path))}[/]: {_state(status)}, step {status.step} of {status.total_steps}{left}", soft_wrap=True)
    for line in (status.message, status.hint):
        if line:
            out.print(f"  {escape(line)}", soft_wrap=True)
    memory = status.memory
    if memory:
        out.print(f"  memory: estimated {memory.get('total_bytes', 0) / 1e9:.2f} GB, at most {memory.get('peak_bytes', 0) / 1e9:.2f} GB so far")
    _curve("training loss", [(row["step"], row["loss"]) for row in metrics if "loss" in row])
    _curve("validation WER, %", [(row["step"], 100 * row["eval_wer"]) for row in metrics if "eval_wer" in row])
    for sample in samples.get("samples", []):
        out.print(f"  said   {escape(sample['text'])}\n  heard  {escape(sample['heard'])}", soft_wrap=True)


def _curve(title: str, points: list[tuple[int, float]]) -> None:
    if len(points) < 2:
        return
    import plotext

    width = min(100, console().width)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, 12)
    plotext.title(title)
    plotext.plot([step for step, _ in points], [value for _, value in points], marker="braille")
    click.echo(plotext.uncolorize(plotext.build()), err=True)


@runs.command()
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows, until the run has ended.")
@click.option("--lines", default=50, show_default=True, type=click.IntRange(min=0), help="How many of its last lines first.")
@workspace_option
@json_option
def logs(run_name: str | None, follow: bool, lines: int, workspace: Path, as_json: bool) -> None:
    """The log of a run, on standard output."""
    from voxtune.training import opening
    from voxtune.training.runs import look
    from voxtune.training.status import ACTIVE

    run = opening.find(run_name, workspace)
    before = opening.last_lines(run, lines) if lines else []
    if as_json:
        if follow:
            raise CallError("--json gives one document, and --follow has no end.", hint="Leave out one of them.")
        emit({"run": str(run.path), "lines": before})
        return
    for line in before:
        click.echo(line)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with contextlib.ExitStack() as opened:
        log = None
        while follow:
            ended = look(run).state not in ACTIVE
            if log is None and run.log.is_file():
                log = opened.enter_context(run.log.open("rb"))
                log.seek(0, os.SEEK_END if before else os.SEEK_SET)
            if log is not None:
                click.echo(decoder.decode(log.read()), nl=False)
            if ended:
                return
            time.sleep(0.3)


@runs.command()
@run_argument
@click.option("--grace", "grace_s", default=120.0, show_default=True, type=click.FloatRange(min=0), help="Seconds it may take to save before it is ended.")
@workspace_option
@json_option
def stop(run_name: str | None, grace_s: float, workspace: Path, as_json: bool) -> None:
    """Let a run save a checkpoint and stop; `resume` goes on."""
    from voxtune.training import opening
    from voxtune.training import runs as all_runs

    run = opening.find(run_name, workspace)
    status = all_runs.stop(run, grace_s=grace_s)
    if as_json:
        emit(_as_json(run, status))
    else:
        console().print(f"{escape(str(run.path))}: {_state(status)} {escape(status.message)}", soft_wrap=True)


@runs.command()
@run_argument
@click.option("--detach", is_flag=True, help="Start it and return at once.")
@workspace_option
@json_option
def resume(run_name: str | None, detach: bool, workspace: Path, as_json: bool) -> None:
    """Go on with a run from its newest checkpoint; `voxtune train --resume` does so with changed settings."""
    from voxtune.cli.train import resume_run, tell
    from voxtune.training import opening

    run = opening.find(run_name, workspace)
    tell(resume_run(None, {"output": str(run.path)}), detach=detach, as_json=as_json)


def _as_json(run: RunFolder, status: Status) -> dict[str, Any]:
    return {"run": str(run.path), **asdict(status)}


def _state(status: Status) -> str:
    colour = {"failed": "red", "finished": "green", "running": "cyan", "stopping": "yellow", "queued": "yellow"}.get(status.state, "default")
    waits = f", waits for {escape(status.waits_for)}" if status.state == "queued" and status.waits_for else ""
    return f"[{colour}]{status.state}[/]" + (f" ({status.stage})" if status.stage else "") + (f" ({status.code})" if status.code else "") + waits


def _rates(status: Status) -> str:
    return " -> ".join(f"{rate:.1%}" for rate in (status.base_wer, status.best_wer) if rate is not None)


def _left(status: Status) -> str:
    from voxtune.cli.watching import duration

    return f"{duration(status.seconds_left)} left" if status.seconds_left else ""
