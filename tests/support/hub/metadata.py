"""What the Hub takes as metadata of a README, and how it says that something is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WORDS = {name: set(text.split()) for name, text in tomllib.loads(Path(__file__).with_suffix(".toml").read_text()).items()}
LICENCES = WORDS["licences"]
TWO_LETTERS = WORDS["two_letter_languages"]
PIPELINES = WORDS["pipelines"]
RELATIONS = ("adapter", "merge", "quantized", "finetune")
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SDKS = ("gradio", "streamlit", "docker", "static")
HARDWARE = {
    "cpu-basic": "CPU Basic",
    "cpu-upgrade": "CPU Upgrade",
    "zero-a10g": "ZeroGPU",
    "t4-small": "Nvidia T4 small",
    "t4-medium": "Nvidia T4 medium",
    "l4x1": "1x Nvidia L4",
    "l4x4": "4x Nvidia L4",
    "l40sx1": "1x Nvidia L40S",
    "l40sx4": "4x Nvidia L40S",
    "l40sx8": "8x Nvidia L40S",
    "a10g-small": "Nvidia A10G small",
    "a10g-large": "Nvidia A10G large",
    "a10g-largex2": "2x Nvidia A10G large",
    "a10g-largex4": "4x Nvidia A10G large",
    "a100-large": "Nvidia A100 large",
    "a100x4": "4x Nvidia A100",
    "a100x8": "8x Nvidia A100",
}
SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B", "10B<n<100B", "100B<n<1T", "n>1T")
ID = r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?"

Check = Callable[[Any, str], Iterator[str]]


def problems(data: dict[str, Any], kind: str) -> tuple[list[str], list[str]]:
    """What is refused, and what is only said."""
    checks = {**COMMON, **OF_KIND[kind]}
    errors = [error for key, check in checks.items() if data.get(key) is not None for error in check(data[key], key)]
    if kind == "space" and data and "sdk" not in data:
        errors.append('"sdk" is required')
    warnings = []
    if data.get("pipeline_tag") and data["pipeline_tag"] not in PIPELINES:
        warnings.append(f'"pipeline_tag" with value "{data["pipeline_tag"]}" is not in the official list: {", ".join(sorted(PIPELINES))}')
    for number, task in enumerate(_listed(data.get("task_categories"))):
        if task not in PIPELINES:
            warnings.append(f'The task_categories "{task}" is not in the official list ("task_categories[{number}]")')
    return errors, warnings


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _one_of(words: Any) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if value not in words:
            yield f'"{where}" must be one of [{", ".join(sorted(words))}]'

    return check


def _each(check_one: Check, *, single: bool = True) -> Check:
    """Every entry of a list; where `single`, one alone may stand without a list."""

    def check(value: Any, where: str) -> Iterator[str]:
        if isinstance(value, list):
            for number, each in enumerate(value):
                yield from check_one(each, f"{where}[{number}]")
        elif single:
            yield from check_one(value, where)
        else:
            yield f'"{where}" must be an array'

    return check


def _is(kind: type, name: str) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            yield f'"{where}" must be a {name}'

    return check


def _fits(pattern: str, what: str) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield f'"{where}" with value "{value}" {what}'

    return check


def _short(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str) or len(value) > 60:
        yield f'"{where}" length must be less than or equal to 60 characters long'


def _language(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        # `no` is false to YAML.
        yield f'"{where}" must be a string'
    elif value != value.lower():
        yield f'"{where}" must only contain lowercase characters'
    elif value not in ("code", "multilingual") and value not in TWO_LETTERS and not re.fullmatch(r"[a-z]{3}", value):
        codes = 'It must be an ISO 639-1, 639-2 or 639-3 code (two/three letters), or a special value like "code", "multilingual".'
        yield f'"{where}" with value "{value}" is not valid. {codes} If you want to use BCP-47 identifiers, you can specify them in language_bcp47.'


def _model_index(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f'"{where}" must be an array'
        return
    for number, model in enumerate(value):
        at = f"{where}[{number}]"
        yield from _has(model, at, "name", "results")
        for place, result in enumerate(_listed(model.get("results")) if isinstance(model, dict) else []):
            yield from _result(result, f"{at}.results[{place}]")


def _result(result: Any, at: str) -> Iterator[str]:
    yield from _has(result, at, "task", "metrics")
    if not isinstance(result, dict):
        return
    if "task" in result:
        yield from _has(result["task"], f"{at}.task", "type")
    if "dataset" in result:
        yield from _has(result["dataset"], f"{at}.dataset", "type", "name")
    for number, metric in enumerate(_listed(result.get("metrics"))):
        yield from _has(metric, f"{at}.metrics[{number}]", "type", "value")


def _has(value: Any, where: str, *keys: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f'"{where}" must be of type object'
        return
    for key in keys:
        if value.get(key) is None:
            yield f'"{where}.{key}" is required'


_text, _flag, _ids = _is(str, "string"), _is(bool, "boolean"), _each(_fits(ID, "fails to match the required pattern: namespace/name"))

COMMON: dict[str, Check] = {
    "license": _each(_one_of(LICENCES)),
    "language": _each(_language),
    "tags": _each(_text, single=False),
    "datasets": _ids,
    "license_name": _text,
    "license_link": _text,
    "thumbnail": _text,
    "extra_gated_prompt": _text,
}
OF_KIND: dict[str, dict[str, Check]] = {
    "model": {
        "model-index": _model_index,
        "base_model": _ids,
        "base_model_relation": _one_of(RELATIONS),
        "library_name": _text,
        "pipeline_tag": _text,
        "metrics": _each(_text),
        "inference": _is(object, "value"),
        "new_version": _ids,
    },
    "dataset": {
        "pretty_name": _text,
        "task_categories": _each(_text),
        "size_categories": _each(_one_of(SIZES)),
        "configs": _each(lambda value, where: _has(value, where, "config_name"), single=False),
        "dataset_info": _is((dict, list), "mapping"),  # type: ignore[arg-type]
    },
    "space": {
        "title": _text,
        "sdk": _one_of(SDKS),
        "sdk_version": _fits(r"\d+\.\d+(\.\d+)?([a-z]+\d+)?", "must be a version, in quotes"),
        "python_version": _fits(r"3\.\d+(\.\d+)?", "must be a version of Python, in quotes"),
        "app_file": _text,
        "colorFrom": _one_of(COLOURS),
        "colorTo": _one_of(COLOURS),
        "short_description": _short,
        "suggested_hardware": _one_of(HARDWARE),
        "models": _ids,
        "pinned": _flag,
        "hf_oauth": _flag,
        "preload_from_hub": _each(_text, single=False),
    },
}
