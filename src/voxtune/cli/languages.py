"""`voxtune languages`."""

from __future__ import annotations

from dataclasses import asdict

import click

from voxtune.cli.output import emit, json_option
from voxtune.languages import LANGUAGES


@click.command()
@json_option
def languages(as_json: bool) -> None:
    """The languages, and what Voxtral knows of each."""
    if as_json:
        emit([asdict(language) for language in LANGUAGES.values()])
        return
    for language in LANGUAGES.values():
        click.echo(f"{language.code}  {language.english:<11} {language.name:<12} {language.knowledge}")
