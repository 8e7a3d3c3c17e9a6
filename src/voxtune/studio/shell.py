"""The studio's own net: what goes wrong in an answer to the page is told to the person, and the page goes on."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from voxtune.errors import VoxtuneError

log = logging.getLogger("voxtune.studio")

P = ParamSpec("P")
R = TypeVar("R")


def told(error: Exception) -> VoxtuneError:
    """What to tell of an error; one that is not ours is in the log with all it says."""
    if isinstance(error, VoxtuneError):
        return error
    log.error("unexpected", exc_info=error)
    return VoxtuneError("something went wrong in the studio.", hint="The window in which it was started says more; `voxtune doctor --bundle` packs a report.")


def answering(handler: Callable[P, R]) -> Callable[P, R]:
    """Let a Gradio handler fail in words: the message and what to do, as a notice over the page, and nothing changed."""

    @functools.wraps(handler)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except Exception as error:  # the page's net: a person gets words, never a traceback
            said = told(error)
            raise gr.Error(said.message + (f" {said.hint}" if said.hint else ""), print_exception=False, title="") from None

    assert not inspect.isgeneratorfunction(handler), "a generator would fail outside"
    return run


async def caught(call: Callable[[], Any]) -> tuple[Any, VoxtuneError | None]:
    """The result of an awaitable call, or what to tell of its failure."""
    try:
        return await call(), None
    except Exception as error:  # the routes' net: an answer in words, never a traceback
        return None, told(error)
