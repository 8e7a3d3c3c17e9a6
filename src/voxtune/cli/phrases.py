"""`voxtune phrases`."""

from __future__ import annotations

import click

from voxtune.cli.output import console, emit, json_option


@click.command()
@click.argument("language", metavar="LANG")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@click.option("--source", default="auto", show_default=True, metavar="auto|granary|pack|practice|FILE", help="Where from; FILE has one sentence a line.")
@click.option("--offline", is_flag=True, help="Ask nothing of the network.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Seed of the choice.")
@json_option
def phrases(language: str, count: int, source: str, offline: bool, seed: int, as_json: bool) -> None:
    """Sentences to read aloud, chosen for the sounds of a language.

    From nvidia/Granary, or our own packs where that cannot be had.
    """
    from voxtune.phrases import choosing

    found = choosing.phrases(language, count=count, source=source, offline=offline, seed=seed)
    if as_json:
        emit(found.as_json())
        return
    for phrase in found.phrases:
        click.echo(phrase.text)
    told = found.attribution or {"pack": "Sentences of our own.", "practice": "", "file": ""}.get(found.source, "")
    console().print(" ".join(part for part in (found.notice or told, f"Licence: {found.licence}." if found.licence else "") if part), soft_wrap=True)
