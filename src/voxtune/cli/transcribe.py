"""`voxtune transcribe`."""

from __future__ import annotations

from pathlib import Path

import click

from voxtune.cli.output import bar, emit, json_option, quiet_libraries, working


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", required=True, help="tiny, a Hub id, a folder, or a run's folder.")
@click.option("--language", help="Two-letter language; without it Voxtral detects it.")
@json_option
def transcribe(audio: tuple[Path, ...], model: str, language: str | None, as_json: bool) -> None:
    """Text of audio files, with any model or run.

    Files may be of any length: what is over 30 s is cut at quiet moments.
    """
    from voxtune.dataset.transcripts import find_audio
    from voxtune.languages import check_code
    from voxtune.model import names

    code = check_code(language) if language else None
    recordings = find_audio(audio)
    place = names.find(model)
    with working():
        from voxtune.evaluation.transcribe import transcribe_files
        from voxtune.model import voxtral
        from voxtune.model.batches import Encoder

        quiet_libraries()
        precision = voxtral.choose_precision("auto")
        encoder = Encoder(voxtral.load_processor(place))
        loaded = voxtral.load(place, precision)
        with bar("transcribing", len(recordings)) as move:
            texts = transcribe_files(loaded, encoder, recordings, precision, language=code, progress=lambda done: move(completed=done))
    rows = [{"audio_path": str(recording), "text": text} for recording, text in zip(recordings, texts, strict=True)]
    if as_json:
        emit(rows)
        return
    for row in rows:
        click.echo(row["text"] if len(rows) == 1 else f"{row['audio_path']}\t{row['text']}")
