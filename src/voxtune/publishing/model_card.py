"""The card of a published model: made from the run's own records, with what is not known called so."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voxtune.languages import LANGUAGES
from voxtune.model.names import TINY
from voxtune.publishing import model_usage
from voxtune.publishing.card_text import LICENCES, front_matter, hub_languages, plain
from voxtune.publishing.run_record import Evaluation, RunRecord

BASE_LICENCES = {"mistralai/Voxtral-Mini-3B-2507": "apache-2.0", "mistralai/Voxtral-Small-24B-2507": "apache-2.0", TINY: "apache-2.0"}
"""Of the bases whose licence is known here."""

_PACKAGES = ("voxtune", "python", "torch", "transformers", "peft", "accelerate", "mistral-common", "safetensors", "bitsandbytes")
_ELSEWHERE = frozenset({"data", "model", "output", "language", "learning_rate", "precision"})
"""Settings that are told in another place, or are paths of a machine."""
_LORA_ONLY = ("lora_r", "lora_alpha", "lora_dropout", "lora_scope", "load_in_4bit")
_RATES = (("wer", "WER"), ("cer", "CER"), ("raw_wer", "WER, raw text"), ("raw_cer", "CER, raw text"))
_UNKNOWN = "not recorded"


def licence_of(record: RunRecord) -> str | None:
    """The licence that was chosen, else that of the base; None where that is not known."""
    return record.license or BASE_LICENCES.get(record.base or "")


def metadata(record: RunRecord) -> dict[str, Any]:
    """The YAML at the head of the card, as the Hub reads it."""
    adapter = record.what == "adapter"
    # By these tags the Hub shows a model's curves; the Space is private, and others than its owner could not open it.
    tracked = ["trackio", f"trackio:{record.tracking}"] if record.tracking and record.private else []
    tags = ["voxtune", "voxtral", "automatic-speech-recognition", *(["lora"] if record.method == "adapter" else []), *tracked]
    return {
        "language": hub_languages(record.languages),
        "license": licence_of(record),
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "automatic-speech-recognition",
        "base_model": record.hub_base,
        # The Hub's `merge` is a model made of several; base and adapter in one are a fine-tuned base.
        "base_model_relation": ("adapter" if adapter else "finetune") if record.hub_base else None,
        "datasets": [record.data.repo] if _tells_data(record) else None,
        "metrics": ["wer", "cer"],
        "tags": tags,
        "model-index": _model_index(record, record.evaluation) if record.evaluation else None,
    }


def _tells_data(record: RunRecord) -> bool:
    """Whether everybody who may ever read the card may read the recordings too: a private model may be made public, and its cards with it."""
    return record.data.repo is not None and not record.data.private


def _model_index(record: RunRecord, evaluation: Evaluation) -> list[dict[str, Any]]:
    dataset = {
        "type": record.data.repo if _tells_data(record) else "audiofolder",
        "name": f"{evaluation.num_clips} held-out recordings of the same voice",
        **({"split": "test"} if evaluation.own_test_side else {}),
    }
    # In percent, as the cards of Whisper models have it; the names say so.
    rates = (("wer", "WER in %, normalised text", evaluation.tuned.wer), ("cer", "CER in %, normalised text", evaluation.tuned.cer))
    metrics = [{"type": kind, "name": name, "value": round(100 * rate, 2), "verified": False} for kind, name, rate in rates]
    task = {"type": "automatic-speech-recognition", "name": "Automatic Speech Recognition"}
    return [{"name": _title(record), "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}]


def _title(record: RunRecord) -> str:
    return record.repo.split("/")[-1] if record.repo else " ".join(record.name.split())


def build(record: RunRecord) -> str:
    """The whole README.md; whatever stands in transcripts and records is shown letter by letter, and is neither YAML, Markdown nor HTML."""
    sections = {
        "Results": _results(record),
        "Use": model_usage.with_transformers(record) + "\n### vLLM\n\n" + model_usage.with_vllm(record),
        "Voice and recordings": _recordings(record),
        "Training": _training(record),
        "Limits": "\n".join(f"- {line}" for line in _limits(record)) + "\n",
        "Licence": _licence(record),
    }
    body = "".join(f"\n## {title}\n\n{text}" for title, text in sections.items())
    head = f"# {plain(_title(record))}\n\n{_intro(record)}\n\n{_verdict(record)}\n"
    by = f"voxtune {plain(record.versions['voxtune'])}" if "voxtune" in record.versions else "voxtune"
    return f"{front_matter(metadata(record))}\n{head}{body}\nMade by {by} from the run's own records.\n"


def _intro(record: RunRecord) -> str:
    kinds = {"adapter": "An adapter (LoRA) for {}", "merged": "{}, fine-tuned (LoRA, merged into the weights)", "full": "{}, fine-tuned (all weights)"}
    made = kinds[record.what].format(_base(record))
    languages = _languages(record)
    return f"{made[0].upper()}{made[1:]}: speech recognition{f' in {languages}' if languages else ''} for the voice that it was tuned to."


def _base(record: RunRecord) -> str:
    if record.base == TINY:
        return "voxtune's practice model (a Voxtral of 1.7 million parameters that knows about a hundred English words)"
    if record.base is None:
        return "a Voxtral whose origin is not recorded"
    at = f" at commit `{record.base_revision}`" if record.base_revision else ""
    return f"[{plain(record.base)}](https://huggingface.co/{record.base}){at}"


def _languages(record: RunRecord) -> str:
    return ", ".join(LANGUAGES[code].english if code in LANGUAGES else f"`{code}`" for code in record.languages)


def _verdict(record: RunRecord) -> str:
    found = record.evaluation
    if found is None:
        why = "It was trained further after its last evaluation" if record.outdated_report else "It was not evaluated"
        return f"**Not evaluated.** {why}: nobody has measured whether it recognises this voice better than its base."
    base, tuned = (_percent(rates.wer) for rates in (found.base, found.tuned))
    said = f"On {found.num_clips} recordings that it never saw, {tuned} of the words come out wrong; with its base, {base}."
    if found.verdict == "better":
        return f"**Better for this voice.** {said}"
    if found.verdict == "worse":
        return f"**Worse than its base.** {said}"
    return f"**No clear change.** {said} With so few recordings, such a difference can be chance."


def _results(record: RunRecord) -> str:
    found = record.evaluation
    if found is None:
        return "Word and character error rates are missing: there is no evaluation of this model.\n"
    rows = [(title, _percent(getattr(found.base, name)), _percent(getattr(found.tuned, name))) for name, title in _RATES]
    low, high = found.ci95
    change = f"WER {'fell' if found.wer_reduction >= 0 else 'rose'} by {100 * abs(found.wer_reduction):.1f} points"
    interval = f"95 % interval of the reduction: {100 * low:.1f} to {100 * high:.1f} points, by paired bootstrap over the clips"
    interval = interval if (low, high) != (-1.0, 1.0) else "so few clips give no interval"
    where = "the run's own test side, split by sentence" if found.own_test_side else "recordings other than those that the run held out"
    merged = "; measured with the adapter on its base, before it was merged into the weights" if record.what == "merged" else ""
    steps = [f"- {_language(code)}: {', then '.join(plain(step) for step in done)}" for code, done in found.normalisation.items()]
    told = [
        _table(("", "base", "this model"), rows),
        f"{change} ({interval}). {found.num_clips} clips, {where}, none of them trained on; greedy decoding{merged}.\n",
        "Raw text counts case and punctuation. For the other figures, texts were changed before they were compared:\n",
        "\n".join(steps) + "\n" if steps else f"- {_UNKNOWN}\n",
        _examples(record, found),
    ]
    return "\n".join(part for part in told if part)


def _examples(record: RunRecord, found: Evaluation) -> str:
    """The worst sentences, where the recordings are published as well: a card must not tell what nobody else was told."""
    if not _tells_data(record):
        return ""
    rows = [tuple(plain(text[:200]) or "(nothing)" for text in texts) for texts in found.worst]
    return f"The {len(rows)} sentences with the most errors:\n\n" + _table(("said", "base heard", "this model heard"), rows)


def _recordings(record: RunRecord) -> str:
    data, voice = record.data, record.voice
    day = f" ({plain(voice.confirmed_at[:10])})" if voice and voice.confirmed_at else ""
    whose = f'Whoever published it confirmed{day}: "These are recordings of {voice.meaning}."' if voice else "Nobody has confirmed yet whose voice it is."
    rows = [(side, str(of.clips), _minutes(of.seconds)) for side, of in record.sides.items()]
    where = f"The recordings are published as [{plain(data.repo)}](https://huggingface.co/datasets/{data.repo})." if _tells_data(record) and data.repo else ""
    where = where or "The recordings are not published."
    grown = " There are other recordings in that dataset now than when this model was trained." if data.grown and data.repo and _tells_data(record) else ""
    told = [
        whose,
        f"Languages: {_languages(record) or 'not named; the model was left to detect them'}. {where}{grown}",
        _table(("side", "clips", "minutes"), rows).rstrip("\n"),
        *(f"Sentences from {_source(name, about)}." for name, about in data.sources.items()),
        f"Content hash of the recordings and their texts: `{data.content_hash}`." if re.fullmatch(r"[0-9a-f]{64}", str(data.content_hash)) else "",
    ]
    return "\n\n".join(part for part in told if part) + "\n"


def _source(name: str, about: Mapping[str, str]) -> str:
    more = [f"{key} {plain(str(about[key]))}" for key in ("revision", "licence") if about.get(key)]
    attribution = plain(str(about.get("attribution") or "")).rstrip(".").removesuffix("\\")
    return plain(name) + (f" ({', '.join(more)})" if more else "") + (f": {attribution}" if attribution else "")


def _training(record: RunRecord) -> str:
    now = record.status
    parameters = ", ".join(f"{part.replace('_', ' ')} {count:,}" for part, count in now.trainable_parameters.items()) or _UNKNOWN
    best = f"{now.best_step} of {now.step}, by WER on the validation side" if now.best_step is not None else _UNKNOWN
    versions = ", ".join(f"{name} {plain(record.versions[name])}" for name in _PACKAGES if name in record.versions)
    facts = [
        ("base", _base(record)),
        ("trainable parameters", parameters),
        ("learning rate", f"{record.learning_rate:g}" if record.learning_rate else _UNKNOWN),
        ("number types", record.precision or _UNKNOWN),
        ("checkpoint", best),
        ("hardware", "; ".join(_machine(each) for each in record.hardware) or _UNKNOWN),
        ("time", f"{_duration(record.seconds)}, with validations and checkpoints" if record.seconds else _UNKNOWN),
        ("finished", datetime.datetime.fromtimestamp(now.updated_at, datetime.UTC).date().isoformat()),
        ("versions", versions or _UNKNOWN),
    ]
    settings = [(f"`{name}`", f"`{value}`") for name, value in _settings(record)]
    return _table(("", ""), facts) + "\nEvery setting:\n\n" + _table(("setting", "value"), settings)


def _settings(record: RunRecord) -> Iterator[tuple[str, Any]]:
    for name, value in record.settings.model_dump(mode="json").items():
        if name not in _ELSEWHERE and not (record.method == "full" and name in _LORA_ONLY):
            yield name, value


def _limits(record: RunRecord) -> Iterator[str]:
    if record.base == TINY:
        yield "Its base is a practice model: it knows about a hundred English words, and is of no use but to learn how this is done."
    voices = f"{record.speakers} named speakers" if record.speakers > 1 else "one voice"
    yield f"It was tuned to {voices}, and measured on the same: what it does for anybody else is not known."
    yield "Tuned and measured on short recordings of one sentence each, mostly read aloud. Not measured: conversation, noise, other microphones, long ones."
    if record.evaluation and record.evaluation.num_clips < 30:
        yield f"{record.evaluation.num_clips} clips are few: the interval is wide, and every further recording can move the figures."
    yield "Not measured: speed; and other languages, translating, answering questions, or whatever else the base can do and tuning may have spoiled."
    if record.settings.load_in_4bit:
        yield "Trained on a base in 4 bits (NF4) and evaluated on it; on the unquantised base its figures differ a little, and were not measured."
    yield "It must not be used to decide anything about a person from the way they speak."


def _licence(record: RunRecord) -> str:
    chosen = licence_of(record)
    known = BASE_LICENCES.get(record.base or "")
    named = f"[{LICENCES[chosen][0]}]({LICENCES[chosen][1]})" if chosen in LICENCES else plain(chosen) if chosen else ""
    base = f"its base is under {LICENCES[known][0]}" if known else "the licence of its base is not recorded: look there before you pass it on"
    return f"{named}; {base}.\n" if named else f"{base[0].upper()}{base[1:]}.\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _minutes(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{seconds / 60:.1f}"


def _language(code: str) -> str:
    return LANGUAGES[code].english if code in LANGUAGES else plain(code)


def _machine(about: Mapping[str, Any]) -> str:
    gpus = list(about.get("gpus") or [])
    graphics = [f"{gpus.count(name)} x {plain(str(name))}" for name in dict.fromkeys(gpus)]
    processor = f"{plain(str(about.get('processor') or 'processor ' + _UNKNOWN))} ({about.get('threads')} threads)"
    return ", ".join([*graphics, processor, f"{(about.get('ram_bytes') or 0) / 2**30:.0f} GiB of memory"])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
