"""The rules of the house, held by tests: import order, what loads torch, docstrings, small rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "voxtune"

# Each may import only from those above it. `cli` is the shell: it may import all.
ORDER = [
    *("errors", "versions", "startup", "files", "workspace", "languages", "settings", "phrases", "containers", "audio"),
    *("recordings.quality", "recordings.takes", "recordings.reading"),
    *("dataset.clips", "dataset.split", "dataset.parallel", "dataset.checks", "dataset.transcripts", "dataset.store", "dataset.exporters", "dataset.recorded"),
    *("dataset.transcript_lines", "dataset.uploads"),
    "dataset.archive",
    *("model.names", "model.mel", "model.augmentation", "model.batches", "model.loading_errors"),
    *("model.dropout", "model.voxtral", "model.last_layer", "model.loss", "model.cores", "model.tower"),
    *("model.kept_files", "model.kept", "model.prepared", "model.mistral_format", "model.merging"),
    *("evaluation.text", "evaluation.wer", "evaluation.differences", "evaluation.transcribe", "evaluation.validation", "evaluation.report"),
    "evaluation.listen",
    *("training.process", "training.status", "training.checkpoints", "training.failures", "training.tracking", "training.events"),
    *("training.machine", "training.shape", "training.activations", "training.memory", "training.budget", "training.fitting", "training.device_queue"),
    *("training.stopping", "training.losses", "training.pace", "training.watch", "training.resuming", "training.steps", "training.passes", "training.trainer"),
    *("training.opening", "training.provenance", "training.work", "training.rehearsal", "training.worker", "training.runs"),
    "training.presets",
    *("publishing.calls", "publishing.account", "publishing.records", "publishing.consent", "publishing.card_text", "publishing.belongings"),
    *("publishing.hub", "publishing.hub_spaces", "publishing.dataset_record", "publishing.dataset_card", "publishing.dataset_repo"),
    *("publishing.run_record", "publishing.model_usage", "publishing.model_card", "publishing.model_repo"),
    *("publishing.space_files", "publishing.space_token", "publishing.space_wait", "publishing.space_check", "publishing.space"),
    *("publishing.tracking_space", "publishing.forgetting"),
    "doctor",
    *("studio.words", "studio.access", "studio.shell", "studio.routes", "studio.sign_in", "studio.light", "studio.island", "studio.look", "studio.page"),
    *("studio.tickets", "studio.sentences", "studio.progress", "studio.recording_routes", "studio.dataset_routes"),
    *("studio.children", "studio.models", "studio.machine", "studio.elsewhere", "studio.estimating", "studio.measuring"),
        *("studio.listening", "studio.tracking_page", "studio.evaluations", "studio.run_sights", "studio.run_routes", "studio.starting"),
    *("studio.publishing", "studio.forgetting", "studio.publishing_routes"),
    *("studio.readiness", "studio.run_fields", "studio.run_draft", "studio.setup_view"),
    *("studio.steps", "studio.app"),
    "cli",
]  # fmt: skip


def _modules() -> dict[str, Path]:
    """All of ours by their names; templates are programs of their own."""
    return {
        str(path.relative_to(SOURCE).with_suffix("")).replace("/", ".").removesuffix(".__init__"): path
        for path in SOURCE.rglob("*.py")
        if "templates" not in path.parts
    }


def _rank(module: str) -> int | None:
    found = [place for place, name in enumerate(ORDER) if module == name or module.startswith(name + ".")]
    return found[0] if found else None


def _imported(path: Path) -> set[str]:
    """Modules of ours that a file imports anywhere, by their names below voxtune."""
    modules = set(_modules())
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("voxtune"):
            package = (node.module or "").removeprefix("voxtune").removeprefix(".")
            for alias in node.names:
                inner = f"{package}.{alias.name}".removeprefix(".")
                found.add(inner if inner in modules else package)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("voxtune.") for alias in node.names if alias.name.startswith("voxtune.")}
    return found - {""}


def test_every_module_has_its_place_in_the_order() -> None:
    packages = {"", "__init__", "__main__", "recordings", "dataset", "model", "evaluation", "training", "publishing", "studio"}
    assert [name for name in _modules() if name not in packages and _rank(name) is None] == []


@pytest.mark.parametrize("module", sorted(name for name in _modules() if _rank(name) is not None and not name.startswith("cli")))
def test_a_module_imports_only_from_above(module: str) -> None:
    mine = _rank(module)
    assert mine is not None
    wrong = [other for other in _imported(_modules()[module]) if (_rank(other) or 0) > mine]
    assert wrong == []


def _loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "transformers", "gradio", "peft", "datasets", "trackio", "huggingface_hub"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["dataset", "--help"],
        ["train", "--help"],
        ["dataset", "check", "examples"],
        ["languages", "--json"],
        ["train", "--data", "/no/where"],
        ["runs", "list"],
        ["runs", "show", "gone"],
    ],
)
def test_commands_that_neither_train_nor_transcribe_load_nothing_heavy(arguments: list[str]) -> None:
    loaded = _loaded_by(f"from voxtune.cli import run\nrun({arguments!r})")
    assert loaded & HEAVY == set()


def test_the_whole_path_to_a_dataset_loads_no_torch(tmp_path: Path) -> None:
    arguments = ["dataset", "import", "examples/demo_voice", "--transcripts", "examples/demo_voice/metadata.csv", "--output", str(tmp_path / "d")]
    loaded = _loaded_by(f"from voxtune.cli import run\nassert run({arguments!r}) == 0")
    assert loaded & HEAVY == set()


def test_every_public_thing_says_what_it_promises() -> None:
    silent = []
    for name, path in _modules().items():
        tree = ast.parse(path.read_text())
        nodes = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef))]
        inner = {id(child) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for child in ast.walk(node) if child is not node}
        for node in nodes:
            public = isinstance(node, ast.Module) or not node.name.startswith("_")
            overload = isinstance(node, ast.FunctionDef) and any(getattr(mark, "id", "") == "overload" for mark in node.decorator_list)
            if public and not overload and id(node) not in inner and not ast.get_docstring(node):
                silent.append(f"{name}: {getattr(node, 'name', 'module')}")
    assert silent == []


def test_only_one_module_writes_files() -> None:
    writers = []
    for name, path in _modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            through_files = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "files"
            if isinstance(node, ast.Attribute) and node.attr in ("write_text", "write_bytes") and not through_files:
                writers.append(f"{name}:{node.lineno}")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
                writers.append(f"{name}:{node.lineno}")
    assert [writer for writer in writers if not writer.startswith("files:")] == []


def test_broad_excepts_stand_only_in_the_two_shells() -> None:
    broad = []
    for name, path in _modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                names = {"bare"} if node.type is None else {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)}
                if names & {"Exception", "bare"}:
                    broad.append(name)
    assert set(broad) == {"cli", "studio.shell"}


def test_rooms_are_small() -> None:
    assert {name: lines for name, path in _modules().items() if (lines := path.read_text().count("\n")) > 300} == {}
