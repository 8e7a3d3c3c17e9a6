"""What others build on is frozen: commands, flags, and the README's commands, which are run here."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
import yaml

from tests.support.command import Command
from voxtune.cli import COMMANDS, cli
from voxtune.settings import TrainSettings

ROOT = Path(__file__).parent.parent.parent

FLAGS = {
    "studio": "--host --port --workspace --share --open --no-open",
    "demo": "--keep --seed --json",
    "languages": "--json",
    "phrases": "--count --source --offline --seed --json",
    "dataset import": "--transcripts --output --language --seed --speakers-apart --json",
    "dataset check": "--json",
    "dataset preview": "--model --count --language --json",
    "dataset export": "--format --output",
    "evaluate": "--data --json",
    "transcribe": "--model --language --json",
    "doctor": "--bundle --json",
    "push dataset": "--public --license --voice --replace --yes --json",
    "push model": "--what --public --license --voice --replace --workspace --yes --json",
    "push tracking": "--workspace --yes --json",
    "card": "--push --workspace --yes --json",
    "deploy": "--hardware --public --wait --replace --workspace --yes --json",
    "export": "--output --workspace --json",
    "forget": "--workspace --runs --remote --yes --json",
    "runs list": "--workspace --json",
    "runs show": "--workspace --json",
    "runs logs": "-f --follow --lines --workspace --json",
    "runs stop": "--grace --workspace --json",
    "runs resume": "--detach --workspace --json",
    "train": "--resume --detach --queue --no-queue --request-id --dry-run --json --data --model --method"
    " --output --language --epochs --batch-size --eval-batch-size --gradient-accumulation-steps"
    " --learning-rate --warmup-ratio --scheduler --weight-decay --max-grad-norm --lora-r --lora-alpha --lora-dropout --lora-scope"
    " --freeze-audio-tower --no-freeze-audio-tower --train-tower-layers --precision --load-in-4bit --no-load-in-4bit --gradient-checkpointing"
    " --no-gradient-checkpointing --optimizer --fit-memory --no-fit-memory --tower-cache --no-tower-cache --cache-gb --augment"
    " --eval-steps --save-steps --logging-steps --early-stopping --save-total-limit --seed --trackio --no-trackio",
}


def _leaves(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found |= _leaves(command, f"{prefix}{name} ") if isinstance(command, click.Group) else {f"{prefix}{name}": command}
    return found


def test_commands_and_flags_are_frozen() -> None:
    found = {
        name: {flag for parameter in command.params if isinstance(parameter, click.Option) for flag in [*parameter.opts, *parameter.secondary_opts]}
        for name, command in _leaves(cli).items()
    }
    assert found == {name: set(flags.split()) for name, flags in FLAGS.items()}


def test_the_help_lists_every_command_with_its_own_line() -> None:
    for name, (_, line) in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert (command.help or "").startswith(line.rstrip("."))


def test_help_and_version_answer(voxtune: Command) -> None:
    done = voxtune("--help")
    assert done.code == 0
    assert all(name in done.out for name in COMMANDS)
    assert voxtune("--version").out.startswith("voxtune, version ")
    assert voxtune("train", "--help").code == 0


def test_the_example_settings_are_valid() -> None:
    examples = list((ROOT / "examples").glob("*.yaml"))
    assert examples
    for file in examples:
        given = yaml.safe_load(file.read_text())
        assert TrainSettings.model_validate(given).model_fields_set == set(given)


def test_docs_name_only_files_that_are_there() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
        for target in re.findall(r"`((?:tools|tests|scripts|examples|docs|benchmarks)/[\w./-]+)`", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name} names {target}"


def _readme_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def test_the_readme_names_the_two_commands_and_the_makefile_has_them() -> None:
    made = [command.split()[1] for command in _readme_commands() if command.startswith("make ")]
    assert {"demo", "test"} <= set(made)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(made) <= set(targets)


def test_the_readmes_commands_run(voxtune: Command, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    commands = [command for command in _readme_commands() if command.startswith("voxtune ")]
    assert any(command.startswith("voxtune train") for command in commands)
    for command in commands:
        if command.split()[1] == "demo":
            continue  # tests/workflow/test_demo.py
        words = shlex.split(command)[1:]
        if words[0] == "train":
            words += ["--epochs", "0.3"]  # the same command, in less time
        done = voxtune(*words)
        assert done.code == 0, f"{command}: {done.err}"


@pytest.mark.parametrize("page", ["workflow", "architecture", "data-flow", "training-pipeline", "deployment-pipeline"])
def test_the_docs_are_there(page: str) -> None:
    assert len((ROOT / "docs" / f"{page}.md").read_text()) > 1_000
