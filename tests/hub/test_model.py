"""Models at the Hub: what is sent, what stock libraries make of it, and a card that says what the run's records say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tests.hub.trained import BASE, Practice
from tests.support.command import Command
from voxtune.model.names import tiny_folder
from voxtune.publishing import model_usage, run_record
from voxtune.workspace import RunFolder

ROOT = Path(__file__).parent.parent.parent
PROCESSOR = {"config.json", "processor_config.json", "tekken.json"}
ADAPTER = {"README.md", "adapter_config.json", "adapter_model.safetensors", *PROCESSOR}
WHOLE = {"README.md", "generation_config.json", "model.safetensors", *PROCESSOR}
MISTRAL = {"consolidated.safetensors", "params.json"}

_HEAR = """
import json, sys
from peft import PeftModel
from transformers import AutoProcessor, VoxtralForConditionalGeneration

base, revision, adapter, *whole = json.loads(sys.argv[1])
models = {adapter: PeftModel.from_pretrained(VoxtralForConditionalGeneration.from_pretrained(base, revision=revision), adapter)}
models |= {each: VoxtralForConditionalGeneration.from_pretrained(each) for each in whole}
heard = {}
for name, model in models.items():
    processor = AutoProcessor.from_pretrained(name)
    for clip in sys.argv[2:]:
        inputs = processor.apply_transcription_request(clip, model_id=name, language="en")
        out = model.eval().generate(**inputs, max_new_tokens=60, do_sample=False)
        heard.setdefault(name, []).append(processor.batch_decode(out[:, inputs.input_ids.shape[1]:], skip_special_tokens=True)[0].strip())
print(json.dumps(heard))
"""


def _files(practice: Practice, repo: str) -> set[str]:
    return set(practice.hub.repos["model", repo].files("main")) - {".gitattributes"}


def _card(practice: Practice, repo: str) -> str:
    return practice.hub.read("model", repo, "README.md").decode()


def _push(practice: Practice, run: object, repo: str, *more: object) -> dict[str, Any]:
    done = practice.voxtune("push", "model", run, repo, "--voice", "synthetic", "--yes", "--json", *more)
    assert done.code == 0, done.err
    return done.json


def _clips(practice: Practice) -> list[Path]:
    rows = [json.loads(line) for line in (practice.run / "clips.jsonl").read_text().splitlines()]
    return [Path(row["audio_path"]) for row in rows if row["split"] == "test"]


def _heard(voxtune: Command, model: object, clips: list[Path]) -> list[str]:
    done = voxtune("transcribe", *clips, "--model", model, "--language", "en", "--json")
    assert done.code == 0, done.err
    return [row["text"] for row in done.json]


@pytest.fixture(scope="module")
def published(practice: Practice) -> dict[str, Any]:
    """The run's adapter as alice/adapter, its merged weights as alice/merged, and all weights of the other run as alice/full."""
    merged = practice.copy("to-be-merged")
    return {
        "adapter": _push(practice, "run", "adapter"),
        "merged": _push(practice, merged, "alice/merged", "--what", "merged"),
        "full": _push(practice, "full", "full"),
    }


@pytest.fixture(scope="module")
def heard(practice: Practice) -> dict[str, list[str]]:
    """What `voxtune transcribe` hears in some clips, none of them trained on, with each run."""
    return {run: _heard(practice.voxtune, run, _clips(practice)) for run in ("run", "full")}


def test_an_adapter_goes_up_private_and_alone_in_one_commit(practice: Practice, published: dict[str, Any]) -> None:
    said = published["adapter"]
    repo = practice.hub.repos["model", "alice/adapter"]
    assert repo.private
    assert said["private"]
    assert set(said["sent"]) == _files(practice, "alice/adapter") == ADAPTER
    assert [commit.title for commit in repo.history("main")][:-1] == [next(iter(repo.history("main"))).title]
    weights = practice.hub.read("model", "alice/adapter", "adapter_model.safetensors")
    assert weights == (practice.run / "model" / "adapter_model.safetensors").read_bytes()
    config = json.loads(practice.hub.read("model", "alice/adapter", "adapter_config.json"))
    assert (config["base_model_name_or_path"], config["revision"]) == (BASE, practice.base_revision)
    kept = json.loads((practice.run / "published.json").read_text())["model"]
    assert {name: kept[name] for name in ("repo", "revision", "what", "base", "base_revision")} == {
        "repo": "alice/adapter",
        "revision": said["revision"],
        "what": "adapter",
        "base": BASE,
        "base_revision": practice.base_revision,
    }
    assert kept["sha256"] == {"adapter_model.safetensors": repo.files("main")["adapter_model.safetensors"].sha256}
    assert "model_unfinished" not in json.loads((practice.run / "published.json").read_text())


def test_over_lfs_the_same_bytes_arrive(practice: Practice) -> None:
    """The other transfer path: the journey of a model with Xet switched off, to the Hub and back."""
    run = practice.copy("over-lfs")
    voxtune = Command(practice.voxtune.folder, {**practice.voxtune.environment, "HF_HUB_DISABLE_XET": "1"})
    begun = len(practice.hub.calls)
    done = voxtune("push", "model", run, "over-lfs", "--voice", "synthetic", "--yes", "--json")
    assert done.code == 0, done.err
    ways = {"xet" if "/xorbs/" in call.path else "lfs" for call in practice.hub.calls[begun:] if "/xorbs/" in call.path or "/lfs/" in call.path}
    assert ways == {"lfs"}
    fetch = "import os, sys; os.environ['HF_HUB_DISABLE_XET'] = '1'; from huggingface_hub import snapshot_download as get; print(get(sys.argv[1]))"
    fetched = Path(practice.python(fetch, "alice/over-lfs", folder=practice.voxtune.folder).strip())
    assert (fetched / "adapter_model.safetensors").read_bytes() == (run / "model" / "adapter_model.safetensors").read_bytes()
    assert voxtune("card", run, "--push", "--yes", "--json").json["sent"] == []


def test_what_was_sent_once_is_not_sent_again(practice: Practice, published: dict[str, Any]) -> None:
    for run, repo, more in (("run", "adapter", ()), ("to-be-merged", "merged", ("--what", "merged"))):
        again = _push(practice, run, repo, *more)
        assert (again["sent"], again["revision"]) == ([], published[repo]["revision"])


def test_merged_and_full_weights_need_no_other(practice: Practice, published: dict[str, Any]) -> None:
    for repo in ("alice/merged", "alice/full"):
        assert _files(practice, repo) == WHOLE | MISTRAL
    assert practice.hub.read("model", "alice/full", "model.safetensors") == (practice.full / "model" / "model.safetensors").read_bytes()
    assert "vllm serve alice/merged --tokenizer-mode mistral" in _card(practice, "alice/merged")
    assert "must be merged into its base first" in _card(practice, "alice/adapter")


def test_nothing_of_this_machine_is_in_any_file(practice: Practice, published: dict[str, Any]) -> None:
    secrets = [str(practice.run.parent), str(Path.home()), "hf_write", "/data", "wavs/"]
    for repo in ("alice/adapter", "alice/merged", "alice/full"):
        for path in _files(practice, repo):
            content = practice.hub.read("model", repo, path)
            assert not [secret for secret in secrets if secret.encode() in content], f"{repo}: {path}"


def test_stock_libraries_hear_word_by_word_what_we_hear(practice: Practice, published: dict[str, Any], heard: dict[str, list[str]], tmp_path: Path) -> None:
    clips = _clips(practice)
    names = ["alice/adapter", "alice/merged", "alice/full"]
    theirs = json.loads(practice.python(_HEAR, json.dumps([BASE, practice.base_revision, *names]), *clips, folder=tmp_path))
    assert theirs == {"alice/adapter": heard["run"], "alice/merged": heard["run"], "alice/full": heard["full"]}
    assert heard["run"] != heard["full"]
    assert len(set(heard["run"])) > 2
    tested = {row["audio_path"]: row["tuned_text"] for row in practice.report["clips"]}
    assert {str(clip): text for clip, text in zip(clips, heard["run"], strict=True) if str(clip) in tested} == tested


def test_the_code_in_the_cards_runs_as_it_stands(practice: Practice, published: dict[str, Any], heard: dict[str, list[str]], tmp_path: Path) -> None:
    shutil.copy(_clips(practice)[0], tmp_path / "speech.wav")
    cards = [_card(practice, repo).split("### vLLM")[0] for repo in ("alice/adapter", "alice/full")]
    blocks = [re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL) for card in cards]
    assert [len(found) for found in blocks] == [1, 1]
    record = run_record.read(RunFolder(practice.run))
    alone = replace(record, settings=record.settings.model_copy(update={"lora_scope": "language_model"}))
    blocks.append(re.findall(r"```python\n(.*?)```", model_usage.with_vllm(alone), flags=re.DOTALL))
    assert practice.python("".join(block for (block,) in blocks), folder=tmp_path).splitlines() == [heard["run"][0], heard["full"][0]]
    with safe_open(tmp_path / "for-vllm" / "adapter_model.safetensors", framework="numpy") as renamed:
        names = [name for name in renamed.keys() if "language_model" in name]  # noqa: SIM118 - it is no dict
    assert len(names) == 3 * 7 * 2
    assert all(re.match(r"base_model\.model\.language_model\.model\.layers\.\d\.\w+\.\w_?\w*_proj\.lora_[AB]\.weight", name) for name in names), names


def test_the_cards_figures_are_the_reports(practice: Practice, published: dict[str, Any]) -> None:
    report, card = practice.report, _card(practice, "alice/adapter")
    for title, name in (("WER", "wer"), ("CER", "cer"), ("WER, raw text", "raw_wer"), ("CER, raw text", "raw_cer")):
        assert f"| {title} | {100 * report['base'][name]:.1f} % | {100 * report['tuned'][name]:.1f} % |" in card
    assert f"{report['num_clips']} clips" in card
    assert "**Better for this voice.**" in card
    status = json.loads((practice.run / "status.json").read_text())
    assert f"language model {status['trainable_parameters']['language_model']:,}" in card
    for known in ("| hardware | not", "| time | not", "| versions | not", "| learning rate | not"):
        assert known not in card
    assert "Whoever published it confirmed" in card
    assert "a synthetic voice, nobody's own" in card
    assert f"at commit `{practice.base_revision}`" in card


def test_the_hubs_validator_and_the_client_take_the_card(practice: Practice, published: dict[str, Any], tmp_path: Path) -> None:
    code = """
import json, sys
from huggingface_hub import ModelCard
for repo in sys.argv[1:]:
    card = ModelCard.load(repo)
    card.validate()
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()
    print(json.dumps([card.data.model_name, [[each.metric_type, each.metric_value] for each in card.data.eval_results or []]]))
"""
    told = [json.loads(line) for line in practice.python(code, "alice/adapter", "alice/full", folder=tmp_path).splitlines()]
    tuned = practice.report["tuned"]
    assert told == [["adapter", [["wer", round(100 * tuned["wer"], 2)], ["cer", round(100 * tuned["cer"], 2)]]], [None, []]]
    assert "**Not evaluated.**" in _card(practice, "alice/full")


def test_the_evaluation_is_on_the_base_as_it_was(practice: Practice) -> None:
    """BASE is all zeros by now: every figure would be another on it."""
    assert practice.report["verdict"] == "better"
    machine = next(json.loads(line) for line in (practice.run / "events.jsonl").read_text().splitlines() if '"machine"' in line)
    assert machine["base"] == {"name": BASE, "revision": practice.base_revision}
    assert machine["clips"]["train"]["num"] == 32
    assert 60 < machine["clips"]["train"]["seconds"] < 120
    assert machine["versions"]["torch"]
    assert machine["dataset"]["content_hash"] == json.loads((practice.data / "dataset.json").read_text())["content_hash"]
    assert str(practice.run.parent) not in json.dumps(machine)


def test_what_is_tuned_from_the_practice_model_goes_up_merged(practice: Practice) -> None:
    run = practice.copy("on-tiny")
    (run / "settings.yaml").write_text((run / "settings.yaml").read_text().replace(f"model: {BASE}", "model: tiny"))
    config = json.loads((run / "model" / "adapter_config.json").read_text())
    (run / "model" / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(tiny_folder()), "revision": None}))
    asked = len(practice.hub.calls)
    refused = practice.voxtune.refused("push", "model", run, "on-tiny", "--what", "adapter", "--voice", "own", "--yes", code=2)
    assert "nobody else could load this adapter" in refused
    assert ("model", "alice/on-tiny") not in practice.hub.repos
    assert not [call for call in practice.hub.calls[asked:] if call.method != "GET"]
    _push(practice, run, "on-tiny")
    assert _files(practice, "alice/on-tiny") == WHOLE
    card = _card(practice, "alice/on-tiny")
    assert "practice model" in card
    assert "base_model" not in card.split("\n---\n")[0]
    assert "license: apache-2.0" in card
    assert "vllm serve" not in card


def test_another_kind_of_weights_takes_the_place_of_the_first(practice: Practice) -> None:
    run = practice.copy("changes")
    _push(practice, run, "changes", "--what", "merged")
    said = _push(practice, run, "changes", "--what", "adapter")
    assert _files(practice, "alice/changes") == ADAPTER
    assert set(said["sent"]) >= {"model.safetensors", "consolidated.safetensors", "adapter_model.safetensors"}
    _push(practice, run, "elsewhere", "--what", "adapter")
    assert json.loads((run / "published.json").read_text())["model"]["earlier"] == ["alice/changes"]


def test_a_card_is_written_and_sent_alone(practice: Practice) -> None:
    run = practice.copy("carded")
    done = practice.voxtune("card", run, "--json")
    assert done.code == 0, done.err
    written = Path(done.json["card"]).read_text()
    assert Path(done.json["card"]) == run / "README.md"
    assert "# carded" in written
    assert 'repo = "OWNER/NAME"' in written
    assert "is not published yet" in practice.voxtune.refused("card", run, "--push", "--yes", code=2)
    _push(practice, run, "carded")
    (run / "report.json").unlink()
    done = practice.voxtune("card", run, "--push", "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json["sent"] == ["README.md"]
    assert "**Not evaluated.**" in _card(practice, "alice/carded")
    assert _card(practice, "alice/carded") == (run / "README.md").read_text()
    assert practice.voxtune("card", run, "--push", "--yes", "--json").json["sent"] == []
    other = practice.copy("carded-too")
    _push(practice, other, "carded", "--what", "merged")
    assert "holds another model" in practice.voxtune.refused("card", run, "--push", "--yes", code=2)
    weights = run / "model" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert "trained further since its model was published" in practice.voxtune.refused("card", run, "--push", "--yes", code=2)


def test_what_is_not_finished_or_not_allowed_is_refused_before_anything_is_sent(practice: Practice) -> None:
    run = practice.copy("refused")
    before, asked = set(practice.hub.repos), len(practice.hub.calls)
    assert "nobody here to confirm" in practice.voxtune.refused("push", "model", run, "refused", code=2)
    assert len(practice.hub.calls) == asked
    status = json.loads((run / "status.json").read_text())
    for changed, code, told in (
        ({"state": "stopped"}, 2, "has not finished"),
        ({"state": "running", "host": "another", "updated_at": 4e9}, 2, "is running"),
    ):
        (run / "status.json").write_text(json.dumps(status | changed))
        assert told in practice.voxtune.refused("push", "model", run, "refused", "--voice", "own", "--yes", code=code)
    (run / "status.json").write_text(json.dumps(status))
    reader = Command(practice.voxtune.folder, {**practice.voxtune.environment, "HF_TOKEN": "hf_read"})
    assert "can only read" in reader.refused("push", "model", run, "refused", "--voice", "own", "--yes", code=1)
    assert "no licence" in practice.voxtune.refused("push", "model", run, "refused", "--license", "mine", "--voice", "own", "--yes", code=2)
    assert set(practice.hub.repos) == before


def test_a_public_model_with_a_licence(practice: Practice) -> None:
    _push(practice, practice.copy("public"), "public", "--public", "--license", "cc-by-nc-4.0")
    assert not practice.hub.repos["model", "alice/public"].private
    assert "license: cc-by-nc-4.0" in _card(practice, "alice/public")


def test_exported_weights_are_those_that_are_published_merged(practice: Practice, published: dict[str, Any], tmp_path: Path) -> None:
    done = practice.voxtune("export", "run", "--output", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert set(done.json["files"]) == WHOLE - {"README.md"} | MISTRAL
    for path in done.json["files"]:
        assert (tmp_path / "out" / path).read_bytes() == practice.hub.read("model", "alice/merged", path)
    assert "already there" in practice.voxtune.refused("export", "run", "--output", tmp_path / "out", code=2)


def test_the_scripts_do_what_the_commands_do(practice: Practice) -> None:
    practice.copy("by-script")
    for script, words in (("generate_model_card.py", ["by-script"]), ("push_to_huggingface.py", ["by-script", "by-script", "--voice", "own", "--yes"])):
        command = [sys.executable, ROOT / "scripts" / script, *words, "--json"]
        environment = {**os.environ, **practice.voxtune.environment}
        done = subprocess.run(command, cwd=practice.voxtune.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
    assert _files(practice, "alice/by-script") == ADAPTER
