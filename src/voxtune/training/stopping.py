"""How a run is asked to stop: SIGTERM or Ctrl-C, answered at once where nothing would be lost, else after the step at hand."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from voxtune.training.process import WAITING_SIGNALS


class Stopped(KeyboardInterrupt):
    """The run was asked to stop and has nothing that is not saved."""


class StopRequest:
    """Whether someone asked the run to stop, and whether it may do so at once."""

    def __init__(self) -> None:
        self.asked = False
        self.nothing_to_lose = True
        """Whether stopping now loses no step: before the first one, and right after a checkpoint."""
        self._interruptible = True

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests to stop, from now to the end of the process."""
        assert threading.current_thread() is threading.main_thread(), "signals reach the main thread alone"
        for number in WAITING_SIGNALS:
            signal.signal(number, self._ask)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING_SIGNALS)  # held back until now: process.start_apart

    def check(self) -> None:
        """Raise Stopped if a stop was asked for and loses nothing."""
        if self.asked and self.nothing_to_lose:
            raise Stopped

    def at_steps_only(self) -> None:
        """From here on a request waits for `check` and for the end of a step; until here it interrupts whatever goes on."""
        self._interruptible = False
        self.check()

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as signal calls it
        self.asked = True
        if self._interruptible:
            self._interruptible = False  # once: what follows is the work of stopping
            raise Stopped
