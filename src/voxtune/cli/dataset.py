"""`voxtune dataset import|check|preview|export`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from voxtune.cli.output import bar, console, emit, json_option, quiet_libraries, working


@click.group()
def dataset() -> None:
    """Import, check, preview and export recordings with transcripts."""


@dataset.command("import")
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--transcripts", required=True, type=click.Path(path_type=Path), help="JSONL, CSV, TSV, LJSpeech, .txt with a line a clip, or a folder of .txt.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="New folder for the dataset.")
@click.option("--language", help="Two-letter language of the clips.")
@click.option("--seed", default=0, show_default=True, help="Seed of the split into train, validation and test.")
@click.option("--speakers-apart", is_flag=True, help="Keep each speaker on one side of the split (needs a speaker on each line).")
@json_option
def import_(audio: tuple[Path, ...], transcripts: Path, output: Path, language: str | None, seed: int, speakers_apart: bool, as_json: bool) -> None:
    """Make a dataset from audio files (or folders of them) and their transcripts."""
    from voxtune.dataset import store
    from voxtune.dataset import transcripts as sources
    from voxtune.errors import CallError
    from voxtune.files import refuse_if_used
    from voxtune.languages import check_code

    refuse_if_used(output)
    code = check_code(language) if language else None
    if not transcripts.exists():
        raise CallError(f"{transcripts} does not exist.", hint="Check the path of --transcripts.")
    clips = sources.pair(sources.find_audio(audio), transcripts)
    with bar("importing", len(clips)) as move:
        about = store.create(clips, output, language=code, seed=seed, speakers_apart=speakers_apart, progress=lambda: move(advance=1))
    if as_json:
        emit({key: value for key, value in about.items() if key != "split"} | {"output": str(output), "split": about["split"]["counts"]})
        return
    sides = about["split"]["counts"]
    shares = ", ".join(f"{count} {side}" for side, count in sides.items())
    console().print(f"{about['num_clips']} clips, {about['duration_s']:.0f} s in {escape(str(output))}: {shares}")


@dataset.command()
@click.argument("data")
@json_option
@click.pass_context
def check(ctx: click.Context, data: str, as_json: bool) -> None:
    """Every problem of a dataset at once; exits with 1 if one of them is an error."""
    from voxtune.dataset import checks, store

    found = store.load(data, strict=False)
    with bar("checking", len(found.clips)) as move:
        problems, duration_s = checks.check(found.clips, found.bad_lines, progress=lambda: move(advance=1))
    num_errors = sum(problem.severity == "error" for problem in problems)
    if as_json:
        emit({"num_clips": len(found.clips), "duration_s": round(duration_s, 3), "problems": [problem.as_json() for problem in problems]})
    else:
        for problem in problems:
            place = problem.file + (f", line {problem.line}" if problem.line else "")
            click.echo(f"{problem.severity}: {place}: {problem.message} [{problem.code}] {problem.hint}")
        console().print(f"{len(found.clips)} clips, {duration_s:.0f} s: {num_errors} errors, {len(problems) - num_errors} warnings")
    ctx.exit(1 if num_errors or not found.clips else 0)


@dataset.command()
@click.argument("data")
@click.option("--model", default="tiny", show_default=True, help="tiny, a Hub id or a folder: its processor decides the tokens.")
@click.option("--count", default=3, show_default=True, type=click.IntRange(min=1), help="How many clips.")
@click.option("--language", help="Two-letter language of clips that name none.")
@json_option
def preview(data: str, model: str, count: int, language: str | None, as_json: bool) -> None:
    """What the model sees of the first clips, and which tokens carry loss."""
    from voxtune import audio
    from voxtune.dataset import clips as clip_files
    from voxtune.dataset import store
    from voxtune.languages import check_code
    from voxtune.model import names

    code = check_code(language) if language else None
    place = names.find(model)
    shown = store.load(data, strict=False)
    if shown.bad_lines or not shown.clips:
        clip_files.read(shown.file)  # raises, naming the lines
    with working():
        from voxtune.model import voxtral
        from voxtune.model.batches import Encoder

        quiet_libraries()
        encoder = Encoder(voxtral.load_processor(place))
        rows = []
        for clip in shown.clips[:count]:
            wave = audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s)
            example = encoder.example(wave, language=clip.language or code, text=clip.text)
            rows.append({"audio_path": clip.audio_path, "duration_s": round(example.duration_s, 4), **encoder.preview(example)})
    if as_json:
        emit(rows)
        return
    for row in rows:
        prompt = row["prompt_text"].replace("[AUDIO]" * row["num_audio_tokens"], f"[AUDIO]x{row['num_audio_tokens']}")
        table = Table(title=escape(f"{row['audio_path']}  {row['duration_s']:.2f} s"), show_header=False)
        table.add_row("prompt", escape(prompt))
        table.add_row("carries loss", escape(row["loss_text"]))
        console().print(table)


@dataset.command()
@click.argument("data")
@click.option("--format", "layout", required=True, type=click.Choice(["audiofolder", "ljspeech", "nemo"]), help="Layout to write.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="New folder to write it to.")
def export(data: str, layout: str, output: Path) -> None:
    """Write a dataset in the layout of another tool."""
    from typing import cast

    from voxtune.dataset import clips as clip_files
    from voxtune.dataset import exporters, store

    found = store.load(data, strict=False)
    if found.bad_lines or not found.clips:
        clip_files.read(found.file)  # raises, naming the lines
    exporters.export(found.clips, output, layout=cast(exporters.Format, layout))
    console().print(f"{len(found.clips)} clips in {escape(str(output))}")
