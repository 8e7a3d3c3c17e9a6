"""`voxtune evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from voxtune import settings as settings_files
from voxtune.cli.output import bar, console, emit, json_option, quiet_libraries, working
from voxtune.cli.run_folder import run_at

NUM_WORST = 5


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--data", help="Other clips than the run's own test side: a JSONL file or dataset folder.")
@json_option
def evaluate(run_folder: Path, data: str | None, as_json: bool) -> None:
    """Base against tuned model on held-out clips; writes report.json into the run."""
    report = run_evaluation(run_folder, data)
    if as_json:
        emit(report)
    else:
        show_report(report)


def run_evaluation(run_folder: Path, data: str | None = None) -> dict[str, Any]:
    """Evaluate a run with a progress bar on the terminal."""
    run = run_at(run_folder)
    settings = settings_files.load(run.settings, {})
    with working():
        from voxtune.evaluation import report

        quiet_libraries()
        with bar("evaluating", None) as move:
            return report.evaluate(run, settings, data=data, progress=lambda what, done, total: move(description=what, completed=done, total=total))


def show_report(report: dict[str, Any]) -> None:
    """The figures, and the sentences that are still worst."""
    low, high = report["wer_reduction_ci95"]
    table = Table(title=f"{report['num_clips']} clips that the model never saw")
    table.add_column("")
    for name in ("base", "tuned"):
        table.add_column(name, justify="right")
    for rate, title in (("wer", "WER"), ("cer", "CER"), ("raw_wer", "WER, raw text")):
        table.add_row(title, f"{report['base'][rate]:.1%}", f"{report['tuned'][rate]:.1%}")
    out = console()
    out.print(table)
    out.print(f"Verdict: [bold]{report['verdict']}[/]. WER fell by {report['wer_reduction']:.1%} absolute (95 % interval {low:.1%} to {high:.1%}).")
    worst = Table(title="Worst sentences first")
    for name in ("said", "base heard", "tuned heard", "tuned WER"):
        worst.add_column(name)
    for clip in report["clips"][:NUM_WORST]:
        worst.add_row(escape(clip["text"]), escape(clip["base_text"]), escape(clip["tuned_text"]), f"{clip['tuned_wer']:.0%}")
    out.print(worst)
