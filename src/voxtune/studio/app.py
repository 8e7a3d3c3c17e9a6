"""The page put together, and served."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

# Before gradio is loaded, which reads them then: nothing is told to anyone about who uses the studio.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import BaseRoute

from voxtune import files
from voxtune.errors import InUseError, VoxtuneError
from voxtune.studio import dataset_routes, look, progress, publishing_routes, recording_routes, routes, run_routes
from voxtune.studio.access import VISITORS, Gate, Room, check_host, is_loopback
from voxtune.studio.island import island
from voxtune.studio.light import LightBlocks
from voxtune.studio.page import QUIET, STEPS, Page, renew
from voxtune.studio.shell import answering
from voxtune.studio.steps import dataset, evaluation, language, phrases, publishing, recordings, training
from voxtune.studio.words import AskedLanguage, Labels
from voxtune.workspace import Workspace

log = logging.getLogger("voxtune.studio")

MAX_UPLOAD_BYTES = 200_000_000
"""Of one file; half an hour of WAV at 48 kHz in 16 bits is 173 MB."""

_USER = "voxtune"
_KNOWN_KEY = "() => { try { return [localStorage.getItem('vx-key') || '']; } catch { return ['']; } }"
_KEEP_KEY = "key => { try { localStorage.setItem('vx-key', key); } catch { /* a new room at the next visit */ } }"
_STEPS = (language, phrases, recordings, dataset, training, evaluation, publishing)


def build(gate: Gate) -> tuple[gr.Blocks, Labels]:
    """The page, and its words."""
    label = Labels()
    with LightBlocks(title="voxtune", analytics_enabled=False, fill_width=True, delete_cache=(3_600, 86_400)) as page:
        key = gr.Textbox(visible=False)
        gr.Markdown(label("page.brand"), elem_classes="vx-brand")
        stepper = island("stepper", events=tuple(f"enter_{step}" for step in STEPS))

        @answering
        def begin(known: str) -> tuple[str, dict[str, Any]]:
            issued = gate.issue(known)
            return issued, {"key": issued, "room": gate.room(issued).mark, **renew()}

        # A page of a Space knows its own room by its key; on one's own machine the key is asked for each time.
        loaded = page.load(begin, key, [key, stepper], js=_KNOWN_KEY, **QUIET)
        if gate.is_shared:
            loaded.then(None, key, None, js=_KEEP_KEY, **QUIET)
        for step in _STEPS:
            step.build(Page(gate=gate, label=label, key=key, stepper=stepper, loaded=loaded))
    return page, label


def addresses(gate: Gate) -> list[BaseRoute]:
    """All addresses of the studio besides Gradio's."""
    steps = (progress, recording_routes, dataset_routes, run_routes, publishing_routes)
    return [*routes.common(), *(each for step in steps for each in step.routes(gate))]


def serve(workspace: Path, *, host: str, port: int | None, share: bool, password: str | None) -> str:
    """Serve the studio of a workspace from threads of this process, and give its address.

    Raises CallError where others could come in without a password, or the port is taken.
    """
    on_space = bool(os.environ.get("SPACE_ID"))
    check_host(host, share=share, password=password, on_space=on_space)
    workspace.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(Workspace(workspace).private / "gradio"))
    gate = Gate(workspace, shared=on_space and not password)
    _tidy(workspace)
    page, label = build(gate)
    for client in ("httpx", "httpx2"):
        logging.getLogger(client).setLevel(logging.WARNING)
    middleware = [Middleware(AskedLanguage), Middleware(routes.OwnPagesOnly)]
    if is_loopback(host) and not share and not on_space:
        # A page elsewhere whose name is made to lead here (DNS rebinding) is told by the name that it asks for.
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", host]))
    try:
        _, local, public = page.launch(
            server_name=host,
            server_port=port,
            share=share,
            auth=(_USER, password) if password else None,
            quiet=True,
            footer_links=[],
            enable_monitoring=False,
            run_history=False,  # it would keep every call in the browser
            mcp_server=False,
            ssr_mode=False,
            pwa=False,
            strict_cors=True,
            prevent_thread_lock=True,
            max_file_size=MAX_UPLOAD_BYTES,
            allowed_paths=[],
            app_kwargs={"routes": addresses(gate), "middleware": middleware, "openapi_url": None, "docs_url": None, "redoc_url": None},
            i18n=label,
            theme=look.theme(),
            head=look.head(),
        )
    except OSError as error:  # gradio's word for a port that is taken
        raise InUseError(f"the studio cannot be served on {host}: {error}", hint="Another studio may be running: leave --port out, or name another.") from None
    return str(public or local)


_alone = contextlib.ExitStack()
"""Holds the lock of the workspace, if this is the first studio in it, until the process ends."""


def _tidy(workspace: Path) -> None:
    """Find takes that a killed studio had not told of; not while another studio is at work in the same folder."""
    try:
        _alone.enter_context(files.locked(Workspace(workspace).private / "studio.lock"))
    except InUseError:
        return
    for folder in (workspace, *(workspace / VISITORS).glob("*")):
        room = Room(Workspace(folder))
        shutil.rmtree(room.workspace.downloads, ignore_errors=True)
        try:
            if room.folder.path.is_dir():
                files.sweep(room.folder.path)
                room.takes.recover(room.reading.everything())
        except VoxtuneError as error:
            log.warning("%s was left as it is: %s", room.folder.path, error)  # the others are not kept from theirs
