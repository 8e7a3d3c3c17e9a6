"""The command line: one command per core function, each loaded only when it is called.

Only data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 the work failed, 2 the call was wrong.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

import click

from voxtune import __version__, startup
from voxtune.errors import MissingDependencyError, VoxtuneError

COMMANDS: dict[str, tuple[str, str]] = {
    "studio": ("voxtune.cli.studio:studio", "The studio: language to trained model in one page."),
    "demo": ("voxtune.cli.demo:demo", "The whole journey on the shipped tiny model and demo voice."),
    "languages": ("voxtune.cli.languages:languages", "The languages, and what Voxtral knows of each."),
    "phrases": ("voxtune.cli.phrases:phrases", "Sentences to read aloud, chosen for the sounds of a language."),
    "dataset": ("voxtune.cli.dataset:dataset", "Import, check, preview and export recordings with transcripts."),
    "train": ("voxtune.cli.train:train", "Fine-tune Voxtral on a dataset."),
    "runs": ("voxtune.cli.runs:runs", "Training runs: list, show, logs, stop, resume."),
    "evaluate": ("voxtune.cli.evaluate:evaluate", "Base against tuned model on held-out clips."),
    "transcribe": ("voxtune.cli.transcribe:transcribe", "Text of audio files, with any model or run."),
    "push": ("voxtune.cli.push:push", "Publish a dataset, a model or a run's figures to the Hugging Face Hub."),
    "card": ("voxtune.cli.card:card", "The model card of a run, from its own records."),
    "deploy": ("voxtune.cli.deploy:deploy", "A demo Space that serves a published model, and is seen to."),
    "export": ("voxtune.cli.export:export", "Weights that need no adapter: base and adapter merged."),
    "forget": ("voxtune.cli.forget:forget", "Delete recordings, and if asked what was published of them."),
    "doctor": ("voxtune.cli.doctor:doctor", "What this machine has and lacks, and a bundle for bug reports."),
}
"""Each command with where it is and its line in the help, so that the help loads none of them."""


class LazyGroup(click.Group):
    """A group that imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the journey."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and give the command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with their lines, none of them imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="voxtune")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Fine-tune Mistral's Voxtral speech recogniser on your own voice.

    Without a command it opens the studio. Add --debug to any command to see where an error comes from.
    """
    if ctx.invoked_subcommand is None:
        opening = cli.get_command(ctx, "studio")
        assert opening is not None, "it is in COMMANDS"
        ctx.invoke(opening)


def main() -> None:
    """Run the command line and leave with its exit code."""
    code = run(sys.argv[1:])
    startup.end()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are told on standard error."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    startup.begin()
    try:
        code = cli.main(arguments, prog_name="voxtune", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; flushing at exit must not complain
        return 1
    except Exception as error:  # the shell's own net: no traceback for a person who did not ask for one
        if debug:
            traceback.print_exc()
        told = _told(error)
        if os.environ.get("VOXTUNE_PROGRESS") == "lines":  # for a program that started us
            click.echo(json.dumps({"error": {"code": told.code}}), err=True)
        click.secho(f"Error: {told.message}", fg="red", err=True)
        if told.hint:
            click.echo(told.hint, err=True)
        return told.exit_code


def _told(error: Exception) -> VoxtuneError:
    if isinstance(error, VoxtuneError):
        return error
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("voxtune"):
        what, extra = ("the studio", "studio") if (error.name or "").split(".")[0] == "gradio" else ("training", "train")
        return MissingDependencyError(f"{error.name} is not installed.", hint=f"Install what {what} needs: pip install 'voxtune[{extra}]'")
    return VoxtuneError(f"{type(error).__name__}: {error}", hint="This should not happen. Run it again with --debug and report what it prints.")
