"""`voxtune demo`: the real commands, one after the other, on the shipped tiny model and demo voice."""

from __future__ import annotations

import shlex
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from voxtune.cli.output import bar, console, emit, json_option
from voxtune.errors import CallError

LANGUAGE = "en"
EPOCHS = 5
"""Half the default: the tiny model learns a voice of clear synthetic speech in few steps, and the demo is to take three minutes."""


def demo_voice() -> Path:
    """The folder of demo clips: in the package where it was installed from a wheel, in examples/ of a checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "demo_voice", package.parent.parent / "examples" / "demo_voice"):
        if (folder / "metadata.csv").is_file():
            return folder
    raise CallError("the demo voice is not there.", hint="Install voxtune again.")


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="New folder for everything the demo makes; by default one in the system's temporary folder.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Seed of the split and of training.")
@json_option
def demo(keep: Path | None, seed: int, as_json: bool) -> None:
    """The whole journey on the shipped tiny model and demo voice: a few minutes on a CPU, no network."""
    from voxtune.files import refuse_if_used

    if keep is not None:
        refuse_if_used(keep)
    folder = keep or Path(tempfile.mkdtemp(prefix="voxtune-demo-"))
    report = _journey(folder, seed)
    if as_json:
        emit(report)


def _journey(folder: Path, seed: int) -> dict[str, Any]:
    from voxtune.cli.evaluate import run_evaluation, show_report
    from voxtune.cli.train import run_training
    from voxtune.dataset import store, transcripts

    began = time.monotonic()
    out = console()
    out.print("[bold]A voice that the tiny Voxtral has never heard[/], from recordings to a recogniser of its own. No network, no GPU.")
    voice, data, run = demo_voice(), folder / "dataset", folder / "run"
    metadata = voice / "metadata.csv"

    _say(1, "voxtune", "dataset", "import", voice, "--transcripts", metadata, "--language", LANGUAGE, "--seed", seed, "--output", data)
    clips = transcripts.pair(transcripts.find_audio([voice]), metadata)
    with bar("importing", len(clips)) as move:
        about = store.create(clips, data, language=LANGUAGE, seed=seed, progress=lambda: move(advance=1))
    out.print(f"  {about['num_clips']} clips, {about['duration_s']:.0f} s: " + ", ".join(f"{n} {side}" for side, n in about["split"]["counts"].items()))

    _say(2, "voxtune", "train", "--data", data, "--model", "tiny", "--epochs", EPOCHS, "--seed", seed, "--output", run)
    trained = time.monotonic()
    run_training({"data": str(data), "model": "tiny", "epochs": EPOCHS, "seed": seed, "output": run})
    trained = time.monotonic() - trained

    _say(3, "voxtune", "evaluate", run)
    report = run_evaluation(run)
    show_report(report)

    report["seconds"] |= {"train": round(trained, 3), "demo": round(time.monotonic() - began, 3)}
    out.print(f"Everything lies in {escape(str(folder))}: dataset/ with the recordings, run/model/ with the tuned model, run/report.json.", soft_wrap=True)
    out.print(
        "Try it:  " + escape(_shell("voxtune", "transcribe", next((data / "wavs").glob("*.wav")), "--model", run, "--language", LANGUAGE)), soft_wrap=True
    )
    out.print(f"{report['seconds']['demo']:.0f} s in all, {trained:.0f} s of them training.")
    return report


def _say(number: int, *words: object) -> None:
    console().print(f"\n[bold]{number}.[/] {escape(_shell(*words))}", soft_wrap=True)


def _shell(*words: object) -> str:
    return shlex.join(str(word) for word in words)
