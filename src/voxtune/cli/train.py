"""`voxtune train`: every field of TrainSettings is a flag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from rich.markup import escape

from voxtune import settings as settings_files
from voxtune.cli.output import console, emit, json_option, quiet_libraries, working
from voxtune.errors import CallError
from voxtune.settings import TrainSettings
from voxtune.workspace import RunFolder


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each field of TrainSettings; what is not given stays None."""
    for name, field in reversed(TrainSettings.model_fields.items()):
        flag = "--" + name.replace("_", "-")
        default = "" if field.default is None or field.is_required() else f"  [default: {field.default}]"
        about = (field.description or "") + default
        if field.annotation is bool:
            decorate = click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=about)
        elif get_origin(field.annotation) and all(isinstance(choice, str) for choice in get_args(field.annotation)):
            decorate = click.option(flag, name, type=click.Choice(get_args(field.annotation)), help=about)
        else:
            # Text as it was typed: TrainSettings parses and checks it, as it does what stands in a file.
            decorate = click.option(flag, name, metavar=_metavar(field.annotation), help=about)
        command = decorate(command)
    return command


def _metavar(annotation: Any) -> str:
    text = str(annotation)
    return "NUMBER" if "float" in text or "int" in text else "PATH" if "Path" in text else "TEXT"


@click.command()
@click.argument("settings_file", required=False, type=click.Path(path_type=Path), metavar="[SETTINGS.yaml]")
@click.option("--resume", is_flag=True, help="Go on with the run in --output from its newest checkpoint.")
@click.option("--detach", is_flag=True, help="Start it and return at once; `voxtune runs` shows it.")
@click.option("--queue/--no-queue", default=True, show_default=True, help="Wait until no other run uses this machine's GPU (or CPU).")
@click.option("--request-id", default="", metavar="TEXT", help="The same request again starts nothing new: it gives the run that the first one started.")
@click.option("--dry-run", is_flag=True, help="Check everything, estimate memory and time from a few real steps, and train nothing.")
@json_option
@setting_options
def train(settings_file: Path | None, resume: bool, detach: bool, queue: bool, request_id: str, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Fine-tune Voxtral on a dataset.

    Settings come from SETTINGS.yaml, or from flags, which win over the file. The run is a process of its own: closing the terminal
    leaves it going, Ctrl-C lets it save a checkpoint and stop.
    """
    values = {name: value for name, value in given.items() if value is not None}
    if dry_run:
        if resume:
            raise CallError("--dry-run is for a new run.", hint="Leave out --resume.")
        _show_rehearsal(settings_files.load(settings_file, values) if settings_file else settings_files.make(values), as_json=as_json)
        return
    run = resume_run(settings_file, values, queue=queue) if resume else start_run(settings_file, values, request_id=request_id, queue=queue)
    tell(run, detach=detach, as_json=as_json)


def start_run(file: Path | None, values: dict[str, Any], *, request_id: str = "", queue: bool = True) -> RunFolder:
    """Start a new run with settings from a file and flags."""
    from voxtune import versions
    from voxtune.cli import watching  # noqa: F401 - loaded before the run starts, so that Ctrl-C is answered from its first moment
    from voxtune.dataset import store
    from voxtune.training import runs

    settings = settings_files.load(file, values) if file else settings_files.make(values)
    store.locate(settings.data)
    versions.check()
    with working():
        return runs.start(settings, request_id=request_id, queue=queue)


def resume_run(file: Path | None, values: dict[str, Any], *, queue: bool = True) -> RunFolder:
    """Go on with the run in --output, with its own settings but for those given now."""
    from voxtune import versions
    from voxtune.training import runs

    if "output" not in values:
        raise CallError("--resume needs --output: the folder of the run.", hint="`voxtune runs list` shows the runs.")
    run = RunFolder(Path(values["output"]))
    changes = {**(settings_files.given_in(file) if file else {}), **values}
    versions.check()
    return runs.resume(run, {name: value for name, value in changes.items() if name != "output"}, queue=queue)


def tell(run: RunFolder, *, detach: bool, as_json: bool) -> None:
    """Watch a run to its end, unless it is to go on alone, and say how it is."""
    from voxtune.cli.watching import failure, watch
    from voxtune.training import runs

    status = runs.look(run) if detach else watch(run)
    if status.state == "failed":
        raise failure(status)
    if as_json:
        emit({**asdict(status), "output": str(run.path)})
        return
    folder = escape(str(run.path))
    said = {
        "stopped": f"Stopped at step {status.step} of {status.total_steps}. Go on with: voxtune train --resume --output {folder}",
        "finished": f"Finished. Model: {folder}/model. Next: voxtune evaluate {folder}",
    }
    console().print(said.get(status.state, f"Started {folder}. Watch it with: voxtune runs logs -f {folder}"), soft_wrap=True)


def run_training(values: dict[str, Any]) -> None:
    """Start a new run and watch it to its end. Raises the error that it failed with, or CallError if it was stopped."""
    from voxtune.cli.watching import failure, watch

    run = start_run(None, values)
    status = watch(run)
    if status.state == "failed":
        raise failure(status)
    if status.state != "finished":
        raise CallError(f"{run.path} was stopped.", hint=status.hint)


def _show_rehearsal(settings: TrainSettings, *, as_json: bool) -> None:
    from voxtune import versions
    from voxtune.cli.watching import duration

    versions.check()
    with working():
        from voxtune.training.rehearsal import rehearse

        quiet_libraries()
        found = rehearse(settings)
    if as_json:
        emit(found)
        return
    memory, time = found["memory"], found["time"]
    out = console()
    out.print(f"Clips: {', '.join(f'{count} {side}' for side, count in found['clips'].items())}; {found['total_steps']} steps.")
    for name, size in memory.items():
        if name.endswith("_bytes") and size and name not in ("total_bytes", "available_bytes"):
            out.print(f"  {name.removesuffix('_bytes'):<12} {size / 1e6:12,.1f} MB")
    out.print(f"  {'in all':<12} {memory['total_bytes'] / 1e6:12,.1f} MB of {memory['available_bytes'] / 1e6:,.1f} MB that are free")
    if found["advice"]:
        out.print(f"[yellow]{escape(found['advice'])}[/]", soft_wrap=True)
    out.print(f"Time: about {duration(time['total_s'])} ({time['step_s']:.2f} s a step, {time['validation_s']:.1f} s a validation).")
