"""`voxtune studio`, and `voxtune` alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import click

from voxtune.cli.output import console


@click.command()
@click.option("--host", envvar="GRADIO_SERVER_NAME", default="127.0.0.1", show_default=True, help="Others than this need a password in VOXTUNE_PASSWORD.")
@click.option("--port", envvar="GRADIO_SERVER_PORT", type=click.IntRange(1, 65_535), help="Port; by default 7860, or the next one that is free.")
@click.option("--workspace", type=click.Path(path_type=Path, file_okay=False), default=Path(), show_default=True, help="Folder for datasets and runs.")
@click.option("--share", is_flag=True, help="Also serve through a public link of Gradio's; needs VOXTUNE_PASSWORD.")
@click.option("--open/--no-open", "open_", default=False, help="Open the page in the browser.")
def studio(host: str, port: int | None, workspace: Path, share: bool, open_: bool) -> None:
    """The studio: language to trained model in one page."""
    from voxtune.studio import app

    password = os.environ.pop("VOXTUNE_PASSWORD", "") or None  # taken out, so that no process started from here knows it
    address = app.serve(workspace, host=host, port=port, share=share, password=password)
    console().print(f"voxtune is at [bold]{address}[/]  (Ctrl-C ends it; runs go on)", soft_wrap=True)
    if open_:
        click.launch(address)
    threading.Event().wait()
