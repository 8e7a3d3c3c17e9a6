"""The model card: made of what is known, honest about what is not, and not to be broken by what people say."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.repocard_data import model_index_to_eval_results
from markdown_it import MarkdownIt

from voxtune import files
from voxtune import settings as settings_files
from voxtune.errors import EvaluationError
from voxtune.publishing import model_card, model_usage, records, run_record
from voxtune.publishing.consent import Consent
from voxtune.publishing.run_record import Data, Evaluation, Rates, RunRecord, Side
from voxtune.training.status import Status
from voxtune.workspace import RunFolder

BASE = "mistralai/Voxtral-Mini-3B-2507"
COMMIT = "3060fe34b35ba5d44202ce9ff3c097642914f8f3"
HOSTILE = [
    "a | b | c",
    "`code` ```python\nimport os\n```",
    "---\nlicense: mit\n---",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "[click](https://evil.example) https://evil.example www.evil.example @someone",
    "$ \\( \\) \\[ {{ x }} ${repo} {0}",
    "# heading\n\n> quote\n\n- list",
    "\u202eright to left\u202c \x00 \x1b[31m",
    "&lt;b&gt; &#60;",
    "'\"\\",
]


def _evaluation(**changes: Any) -> Evaluation:
    found = Evaluation(
        num_clips=14,
        base=Rates(wer=0.684, cer=0.565, raw_wer=0.688, raw_cer=0.57),
        tuned=Rates(wer=0.0254, cer=0.0161, raw_wer=0.0255, raw_cer=0.0162),
        wer_reduction=0.6586,
        ci95=(0.459, 0.838),
        verdict="better",
        normalisation={"en": ["Unicode NFC", "Whisper's English normaliser"]},
        worst=(("wake me at eight", "wake me today", "wake me today at"),),
        own_test_side=True,
    )
    return replace(found, **changes)


def _record(**changes: Any) -> RunRecord:
    settings = settings_files.make({"data": "/home/anna/secret/data", "model": BASE, "language": "en", **changes.pop("settings", {})})
    found = RunRecord(
        name="my-run",
        settings=settings,
        status=Status(state="finished", step=60, total_steps=60, best_step=48, trainable_parameters={"language_model": 116_736}, updated_at=1_790_000_000.0),
        base=BASE,
        base_revision=COMMIT,
        method="adapter",
        learning_rate=2e-4,
        precision="bfloat16 autocast, frozen weights bfloat16 (GPU)",
        hardware=({"processor": "AMD EPYC", "threads": 8, "ram_bytes": 64 << 30, "gpus": ["NVIDIA L4", "NVIDIA L4"], "system": "Linux"},),
        versions={"voxtune": "0.1.0", "transformers": "5.23.0", "peft": "0.21.2"},
        seconds=754.0,
        sides={side: Side(clips=count, seconds=60.0 * count) for side, count in (("train", 96), ("validation", 10), ("test", 14))},
        languages=("en",),
        speakers=0,
        data=Data(content_hash="a" * 64, sources={"granary": {"revision": "abc", "licence": "cc-by-4.0"}}, repo="alice/voice", private=False, grown=False),
        voice=Consent(voice="own", confirmed_at="2026-11-20T10:00:00+00:00", by="alice"),
        evaluation=_evaluation(),
        outdated_report=False,
        what="adapter",
        repo="alice/tuned",
    )
    return replace(found, **changes)


def _head(card: str) -> dict[str, Any]:
    found = REGEX_YAML_BLOCK.search(card)
    assert found is not None
    return yaml.safe_load(found.group(2))


def test_the_head_is_what_the_hub_reads() -> None:
    head = _head(model_card.build(_record()))
    assert (head["language"], head["license"], head["library_name"]) == (["en"], "apache-2.0", "peft")
    assert (head["base_model"], head["base_model_relation"], head["datasets"]) == (BASE, "adapter", ["alice/voice"])
    assert head["pipeline_tag"] == "automatic-speech-recognition"
    assert head["metrics"] == ["wer", "cer"]
    assert "voxtune" in head["tags"]
    name, results = model_index_to_eval_results(head["model-index"])
    assert name == "tuned"
    assert {(each.metric_type, each.metric_value, each.metric_name) for each in results} == {
        ("wer", 2.54, "WER in %, normalised text"),
        ("cer", 1.61, "CER in %, normalised text"),
    }
    assert {(each.dataset_type, each.dataset_split, each.verified) for each in results} == {("alice/voice", "test", False)}


def test_the_head_survives_the_clients_own_reading_and_writing() -> None:
    built = model_card.build(_record())
    card = ModelCard(built)
    assert isinstance(card.data, ModelCardData)
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict() == _head(built)


@pytest.mark.parametrize(
    ("changes", "library", "relation"),
    [
        ({"what": "merged"}, "transformers", "finetune"),
        ({"what": "full", "method": "full"}, "transformers", "finetune"),
        ({"what": "merged", "base": "tiny"}, "transformers", None),
        ({"what": "merged", "base": None}, "transformers", None),
    ],
)
def test_relation_and_library_follow_what_is_published(changes: dict[str, Any], library: str, relation: str | None) -> None:
    head = _head(model_card.build(_record(**changes)))
    assert (head["library_name"], head.get("base_model_relation")) == (library, relation)
    assert ("base_model" in head) == (relation is not None)


def test_the_verdict_comes_first_and_in_plain_words() -> None:
    for evaluation, outdated, begins in (
        (_evaluation(), False, "**Better for this voice.** On 14 recordings that it never saw, 2.5 % of the words come out wrong; with its base, 68.4 %."),
        (_evaluation(verdict="no clear change", ci95=(-0.1, 0.3)), False, "**No clear change.**"),
        (_evaluation(verdict="worse", wer_reduction=-0.2, ci95=(-0.3, -0.1)), False, "**Worse than its base.**"),
        (None, False, "**Not evaluated.** It was not evaluated"),
        (None, True, "**Not evaluated.** It was trained further after its last evaluation"),
    ):
        card = model_card.build(_record(evaluation=evaluation, outdated_report=outdated))
        assert card.split("\n## ")[0].split("\n\n")[-1].startswith(begins)


def test_figures_stand_in_the_table_with_their_interval() -> None:
    card = model_card.build(_record())
    assert "| WER | 68.4 % | 2.5 % |\n| CER | 56.5 % | 1.6 % |\n| WER, raw text | 68.8 % | 2.5 % |\n| CER, raw text | 57.0 % | 1.6 % |" in card
    assert "WER fell by 65.9 points (95 % interval of the reduction: 45.9 to 83.8 points" in card
    worse = model_card.build(_record(evaluation=_evaluation(verdict="worse", wer_reduction=-0.2, ci95=(-0.3, -0.1))))
    assert "WER rose by 20.0 points (95 % interval of the reduction: -30.0 to -10.0 points" in worse
    few = model_card.build(_record(evaluation=_evaluation(num_clips=3, verdict="no clear change", ci95=(-1.0, 1.0))))
    assert "so few clips give no interval" in few


def test_what_is_not_known_is_called_so() -> None:
    """A run made before its machine was noted, not evaluated, not published, on an unknown base."""
    bare: dict[str, Any] = {"learning_rate": None, "precision": None, "hardware": (), "versions": {}, "seconds": None, "evaluation": None, "voice": None}
    bare |= {"base": None, "base_revision": None, "what": "merged", "repo": None, "languages": (), "status": Status(state="finished")}
    bare |= {"sides": {"train": Side(clips=96, seconds=None)}, "data": Data(content_hash=None, sources={}, repo=None, private=True, grown=False)}
    card = model_card.build(_record(**bare))
    for fact in ("trainable parameters", "learning rate", "number types", "checkpoint", "hardware", "time", "versions"):
        assert f"| {fact} | not recorded |" in card
    assert "| train | 96 | not recorded |" in card
    assert "error rates are missing" in card
    assert "Nobody has confirmed yet whose voice it is." in card
    assert "The licence of its base is not recorded" in card
    assert "not named; the model was left to detect them" in card
    assert set(_head(card)) == {"library_name", "pipeline_tag", "metrics", "tags"}
    assert "None" not in card


def test_every_setting_is_told_but_no_path_and_none_that_did_nothing() -> None:
    card = model_card.build(_record(settings={"output": "/home/anna/runs/x", "lora_r": 24}))
    told = dict(re.findall(r"\| `(\w+)` \| `(.*)` \|", card))
    wanted = set(settings_files.TrainSettings.model_fields) - {"data", "output", "model", "language", "learning_rate", "precision"}
    assert set(told) == wanted
    assert told["lora_r"] == "24"
    assert "anna" not in card
    full = model_card.build(_record(settings={"method": "full"}, method="full", what="full"))
    assert "lora_r" not in full


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_say_breaks_nothing(text: str) -> None:
    sources = {"granary": {"revision": text, "licence": text, "attribution": text}, text: {}}
    data = replace(_record().data, sources=sources)
    normalisation = {"en": [text]}
    hostile = _record(evaluation=_evaluation(worst=((text, text, text),), normalisation=normalisation), data=data, name=text, repo=None)
    hostile = replace(hostile, hardware=({"processor": text, "gpus": [text]},), versions={"voxtune": text})
    card, harmless = model_card.build(hostile), model_card.build(_record(name="x", repo=None))
    assert {**_head(card), "model-index": 0} == {**_head(harmless), "model-index": 0}
    assert _head(card)["model-index"][0]["name"] == " ".join(text.split())
    shown, usual = (MarkdownIt("gfm-like", {"linkify": False}).parse(each.split("\n---\n\n", 1)[1]) for each in (card, harmless))
    assert [token.type for token in shown if token.type == "heading_open"] == [token.type for token in usual if token.type == "heading_open"]
    assert not [token for token in shown if token.type.startswith("html")]
    inner = [child for token in shown for child in token.children or ()]
    assert not [child for child in inner if child.type.startswith(("html", "image"))]
    links = {str(child.attrs["href"]) for child in inner if child.type == "link_open"}
    assert all(link.startswith(("https://huggingface.co/", "https://www.apache.org/")) for link in links)
    rows = [token for token in shown if token.type == "tr_open"]
    assert len(rows) == len([token for token in usual if token.type == "tr_open"])


def test_sentences_are_told_only_where_the_recordings_are_published_too() -> None:
    public, secret = _record().data, replace(_record().data, private=True)
    for data, private, told in (
        (public, True, True),
        (public, False, True),
        (secret, True, False),  # a private card may become public with its model
        (secret, False, False),
        (replace(secret, repo=None), True, False),
    ):
        card = model_card.build(_record(data=data, private=private))
        assert ("wake me at eight" in card) == told
        assert ("datasets" in _head(card)) == told
        assert ("The recordings are not published." in card) != told


def test_the_code_is_python_and_pins_the_base() -> None:
    for record in (_record(), _record(what="merged"), _record(languages=()), _record(repo=None), _record(base_revision=None)):
        block = re.findall(r"```python\n(.*?)```", model_usage.with_transformers(record), flags=re.DOTALL)
        assert len(block) == 1
        ast.parse(block[0])
        assert (f'revision="{COMMIT}"' in block[0]) == (record.what == "adapter" and record.base_revision is not None)
        assert ('language="en"' in block[0]) == bool(record.languages)
        assert f'repo = "{record.repo or "OWNER/NAME"}"' in block[0]


def test_vllm_is_promised_nothing_that_it_cannot_do() -> None:
    assert "must be merged into its base first" in model_usage.with_vllm(_record())
    alone = model_usage.with_vllm(_record(settings={"lora_scope": "language_model", "lora_r": 20}))
    assert "--enable-lora --max-lora-rank 32" in alone
    assert f"vllm serve {BASE} --revision {COMMIT}" in alone
    assert "vllm serve alice/tuned --tokenizer-mode mistral" in model_usage.with_vllm(_record(what="merged", mistral_format=True))
    assert "vllm serve" not in model_usage.with_vllm(_record(what="merged", mistral_format=False))


def _run(folder: Path, **more: object) -> RunFolder:
    run = RunFolder(folder)
    settings_files.save(settings_files.make({"data": str(folder / "data"), "model": BASE}), run.settings)
    files.write_json(run.status, {"schema": 1, "state": "finished", "updated_at": 1_000.0})
    sides = ("train", "train", "validation", "test")
    files.write_lines(run.clips, [{"audio_path": f"{n}.wav", "text": f"word {n}", "language": "de", "split": side} for n, side in enumerate(sides)])
    files.write_lines(run.events, more.get("events", []))  # type: ignore[arg-type]
    return run


def test_a_run_of_before_is_read_with_what_it_has(tmp_path: Path) -> None:
    record = run_record.read(_run(tmp_path))
    assert (record.base, record.base_revision, record.evaluation, record.hardware, record.seconds) == (BASE, None, None, (), None)
    assert record.sides["train"] == Side(clips=2, seconds=None)
    assert record.languages == ("de",)
    assert record.what == "adapter"
    assert "not recorded" in model_card.build(record)


def test_what_a_resumed_run_noted_is_put_together(tmp_path: Path) -> None:
    """Killed in its second minute, gone on with on another machine: time at work is added up, the pause is not, and both machines are told."""
    machines = [{"processor": "one", "gpus": []}, {"processor": "two", "gpus": []}, {"processor": "two", "gpus": []}]
    events: list[dict[str, object]] = []
    for number, (start, end) in enumerate(((0.0, 60.0), (5_000.0, 5_030.0), (9_000.0, 9_010.0))):
        base = {"name": BASE, "revision": COMMIT}
        noted = {
            "hardware": machines[number],
            "versions": {"torch": f"2.{number}", "bitsandbytes": None},
            "base": base,
            "clips": {"train": {"num": 2, "seconds": 9.5}},
        }
        events += [{"time": start, "event": "stage", "stage": "preparing"}, {"time": start + 1, "event": "machine", **noted}, {"time": end, "event": "metrics"}]
    record = run_record.read(_run(tmp_path, events=events))
    assert record.seconds == 60.0 + 30.0 + 10.0
    assert [each["processor"] for each in record.hardware] == ["one", "two"]
    assert record.versions == {"torch": "2.2"}
    assert record.base_revision == COMMIT
    assert record.sides["train"].seconds == 9.5
    assert "one" in (card := model_card.build(record))
    assert "two" in card


def test_a_report_of_an_earlier_model_does_not_count(tmp_path: Path) -> None:
    run = _run(tmp_path)
    rates = {"wer": 0.5, "cer": 0.5, "raw_wer": 0.5, "raw_cer": 0.5}
    row = {"audio_path": "3.wav", "text": "word 3", "base_text": "x", "tuned_text": "y"}
    report = {
        "num_clips": 1,
        "base": rates,
        "tuned": rates,
        "wer_reduction": 0.0,
        "wer_reduction_ci95": [-1.0, 1.0],
        "verdict": "no clear change",
        "clips": [row],
    }
    files.write_json(run.report, report)
    read = run_record.read(run)
    assert read.evaluation is not None
    assert read.evaluation.own_test_side
    files.write_json(run.report, report | {"clips": [{**row, "audio_path": "elsewhere.wav"}]})
    read = run_record.read(run)
    assert read.evaluation is not None
    assert not read.evaluation.own_test_side
    assert "split" not in json.dumps(model_card.metadata(read)["model-index"])
    files.write_json(run.status, {"schema": 1, "state": "finished", "updated_at": run.report.stat().st_mtime + 60})
    read = run_record.read(run)
    assert read.evaluation is None
    assert read.outdated_report
    files.write_json(run.status, {"schema": 1, "state": "finished", "updated_at": 1_000.0})
    files.write_json(run.report, {"num_clips": 1})
    with pytest.raises(EvaluationError, match="cannot be read as a report"):
        run_record.read(run)


def test_where_it_was_published_is_known_again(tmp_path: Path) -> None:
    run = _run(tmp_path)
    records.note(run.path, "model", {"repo": "alice/x", "private": False, "what": "merged", "license": "mit", "mistral_format": True})
    (tmp_path / "data").mkdir()
    files.write_json(
        tmp_path / "data" / "dataset.json", {"schema": 1, "content_hash": "b" * 64, "consent": {"voice": "synthetic", "confirmed_at": "", "by": "alice"}}
    )
    records.note(tmp_path / "data", "dataset", {"repo": "alice/voice", "private": False})
    record = run_record.read(run)
    assert (record.repo, record.private, record.what, record.license, record.mistral_format) == ("alice/x", False, "merged", "mit", True)
    assert (record.data.repo, record.data.content_hash) == ("alice/voice", "b" * 64)
    assert record.voice is not None
    assert record.voice.voice == "synthetic"
    assert _head(model_card.build(record))["license"] == "mit"
