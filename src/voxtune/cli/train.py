"""`voxtune train`: every field of TrainSettings is a flag."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from rich.markup import escape

from voxtune import settings as settings_files
from voxtune.cli.output import bar, console, emit, json_option, quiet_libraries, working
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
@json_option
@setting_options
def train(settings_file: Path | None, resume: bool, as_json: bool, **given: Any) -> None:
    """Fine-tune Voxtral on a dataset.

    Settings come from SETTINGS.yaml, or from flags, which win over the file. Ctrl-C saves a checkpoint and stops.
    """
    values = {name: value for name, value in given.items() if value is not None}
    status = run_training(read_settings(settings_file, values, resume=resume), resume=resume)
    if as_json:
        emit(status)
        return
    folder = escape(str(status["output"]))
    if status["state"] == "stopped":
        console().print(f"Stopped at step {status['step']} of {status['total_steps']}. Go on with: voxtune train --resume --output {folder}")
    else:
        console().print(f"Finished. Model: {folder}/model. Next: voxtune evaluate {folder}")


def read_settings(file: Path | None, values: dict[str, Any], *, resume: bool) -> TrainSettings:
    """Settings from a file and flags; a run that is resumed brings its own."""
    if resume and file is None and "output" in values and "data" not in values:
        run = RunFolder(Path(values["output"]))
        before = settings_files.of_run(run)
        # Only what was asked for counts as set: the run compares it with what it had.
        return settings_files.make({"data": before.data, "output": run.path, **{name: value for name, value in values.items() if name != "output"}})
    return settings_files.load(file, values) if file else settings_files.make(values)


def run_training(settings: TrainSettings, *, resume: bool = False) -> dict[str, Any]:
    """Train with a progress bar on the terminal, and give the final status with the run's folder under `output`."""
    from voxtune.dataset import store

    store.locate(settings.data)  # refuse a wrong path before torch is loaded
    with working():
        from voxtune.evaluation.validation import score
        from voxtune.training import run

        quiet_libraries()
        with bar("preparing", None) as move:
            return run.train(settings, score=score, resume=resume, watcher=_Terminal(move))


class _Terminal:
    """Shows a run's progress."""

    def __init__(self, move: Callable[..., None]) -> None:
        self._move = move
        self._console = console()

    def stage(self, name: str) -> None:
        """A new stage began."""
        self._move(description=name)

    def model(self, name: str, trainable: dict[str, int]) -> None:
        """What trains and what is frozen."""
        told = ", ".join(f"{part.replace('_', ' ')} {f'{count:,}' if count else '0 (frozen)'}" for part, count in trainable.items())
        self._console.print(f"  model {escape(name)}; trainable parameters: {told}")

    def step(self, step: int, total_steps: int) -> None:
        """An optimizer step is done."""
        self._move(completed=step, total=total_steps)

    def metrics(self, values: dict[str, float]) -> None:
        """One line for each validation."""
        if "eval_wer" in values:
            epoch = f"epoch {values['epoch']:.1f}  " if "epoch" in values else ""
            loss = f", loss {values['eval_loss']:.3f}" if "eval_loss" in values else ""
            self._console.print(f"  {epoch}step {int(values['step'])}: validation WER {values['eval_wer']:.1%}{loss}")
