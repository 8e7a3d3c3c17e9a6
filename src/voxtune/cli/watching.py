"""A run on the terminal: its progress while it goes, and how it ended. Leaving does not end it; Ctrl-C asks it to."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from rich.markup import escape

from voxtune.cli.output import bar, console
from voxtune.errors import CallError, TrainingError, VoxtuneError
from voxtune.training import runs
from voxtune.training.status import Status
from voxtune.workspace import RunFolder

_GOODBYE_S = 10.0


def watch(run: RunFolder) -> Status:
    """Show a run until it has ended, and give its last state. Ctrl-C and SIGTERM let it save and stop, a second one ends it at once."""
    with bar("preparing", None) as move, _interrupts(run):
        shown = _Shown(move)
        for sight in runs.follow(run, from_start=False):
            shown.state(sight.status)
            for event in sight.events:
                shown.event(event)
    sight.status.process(run).wait(_GOODBYE_S)  # Trackio may have something left to write
    return sight.status


@contextlib.contextmanager
def _interrupts(run: RunFolder) -> Iterator[None]:
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal calls it
        nonlocal asked
        again, asked = asked, True  # at once: the next interrupt may come before this one is answered
        now = runs.look(run)
        process = now.process(run)
        if again:
            process.kill_tree()
        elif process.is_here and not now.starting:
            console().print("Saving and stopping; again to end it at once.")
            process.ask_to_stop()
        else:
            asked = False  # nobody to ask yet

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def failure(status: Status) -> VoxtuneError:
    """The error that a failed run ends a command with."""
    if status.code in ("settings", "call"):
        return CallError(status.message, hint=status.hint)
    return TrainingError(status.message, hint=status.hint, code=status.code)


class _Shown:
    """What has been shown of a run."""

    def __init__(self, move: Callable[..., None]) -> None:
        self._move = move
        self._console = console()
        self._waits_for = ""

    def state(self, status: Status) -> None:
        """The bar, and whom the run waits for."""
        left = f", {duration(status.seconds_left)} left" if status.seconds_left and status.stage == "training" else ""
        self._move(description=f"{status.stage or status.state}{left}", completed=status.step, total=status.total_steps or None)
        if status.state == "queued" and status.waits_for and status.waits_for != self._waits_for:
            self._waits_for = status.waits_for
            self._console.print(f"  waiting for {escape(status.waits_for)}, which uses {status.device}", soft_wrap=True)

    def event(self, event: dict[str, Any]) -> None:
        """One line for what a person wants to know."""
        match event:
            case {"event": "model", "name": name, "trainable": trainable}:
                told = ", ".join(f"{part.replace('_', ' ')} {f'{count:,}' if count else '0 (frozen)'}" for part, count in trainable.items())
                self._console.print(f"  model {escape(name)}; trainable parameters: {told}", soft_wrap=True)
            case {"event": "memory", "total_bytes": need, "available_bytes": have, "advice": advice}:
                self._console.print(f"  memory: about {need / 1e9:.1f} GB of {have / 1e9:.1f} GB" + (f"; {escape(advice)}" if advice else ""), soft_wrap=True)
            case {"event": "warning" | "fitted", "message": message}:
                self._console.print(f"  [yellow]{escape(message)}[/]", soft_wrap=True)
            case {"event": "metrics", "eval_wer": rate, "step": step}:
                epoch = f"epoch {event['epoch']:.1f}  " if "epoch" in event else ""
                loss = f", loss {event['eval_loss']:.3f}" if "eval_loss" in event else ""
                self._console.print(f"  {epoch}step {step}: validation WER {rate:.1%}{loss}")


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
