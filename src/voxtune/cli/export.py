"""`voxtune export`."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.markup import escape

from voxtune.cli.output import bar, console, emit, json_option, quiet_libraries, working
from voxtune.cli.runs import workspace_option


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="A new folder for the weights.")
@workspace_option
@json_option
def export(run_name: str, output: Path, workspace: Path, as_json: bool) -> None:
    """Weights that need no adapter: base and adapter merged.

    They are of the base's own number type, and are kept only if they answer as the unmerged model does. Where the base comes with
    Mistral's params.json, as Mistral's own do, they are written a second time in Mistral's format, as vLLM reads them.
    """
    from voxtune import versions
    from voxtune.training import opening

    run = opening.find(run_name, workspace)
    versions.check()
    began = time.monotonic()
    with working():
        from voxtune.model import merging

        quiet_libraries()
        with bar("exporting", None) as move:
            merging.export(run, output, lambda what, done, total: move(description=what, completed=done, total=total))
    sizes = {path.name: path.stat().st_size for path in sorted(output.iterdir())}
    if as_json:
        emit({"output": str(output), "files": sizes, "bytes": sum(sizes.values()), "seconds": round(time.monotonic() - began, 3)})
    else:
        console().print(f"{sum(sizes.values()) / 1e6:,.1f} MB in {escape(str(output))}", soft_wrap=True)
