"""What was found, as Markdown: tables, ratios, and the targets beside them."""

from __future__ import annotations

from typing import Any

from benchmarks.shapes.parts import MEMORY_BATCH, PROCESSOR_CLIP_S, SAME, SCOPES, USUAL, USUAL_BATCH, USUAL_STEP


def about(found: dict[str, str]) -> str:
    """The line over everything: date, chip, versions."""
    return ", ".join(value if name in ("date", "chip") else f"{name} {value}" for name, value in found.items())


def report(found: dict[str, Any]) -> str:
    """Everything."""
    parts = [_steps(found), _against_usual(found), _memory(found), _once(found), _generation(found), *_profiles(found), _skipped(found)]
    return "\n\n".join(part for part in parts if part)


def _steps(found: dict[str, Any]) -> str:
    lines = ["| trains | clips a step | in a pass | ms a step | clips/s | GB in use | GB reserved | TFLOP/s | of the ceiling |", "|" + "---|" * 9]
    for row in found["steps"]:
        share = "" if row["utilisation"] is None else f"{100 * row['utilisation']:.0f} %"
        cells = [row["part"], row["clips"], row["together"], f"{1e3 * row['seconds']:.1f}", f"{row['clips_per_s']:.1f}"]
        cells += [_gb(row["allocated_bytes"]), _gb(row["reserved_bytes"]), f"{row['flops'] / row['seconds'] / 1e12:.3g}", share]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    text = "\n".join(lines)
    if found["ceiling"]:
        shares = [row["utilisation"] for row in found["steps"] if row["part"] in SCOPES]
        best = f"; best of LoRA {100 * max(shares):.0f} % (target: at least 50 %)" if shares else ""
        text += f"\n\nCeiling, large matrix products: {found['ceiling'] / 1e12:.3g} TFLOP/s{best}."
    return text


def _against_usual(found: dict[str, Any]) -> str:
    usual = _rates(found, USUAL)
    if not usual:
        return ""
    usual_s = 1 / usual[0]["clips_per_s"]
    processor_s = found["processor"].get("request")
    lines = [f"Against the usual recipe ({USUAL_BATCH} x {USUAL_STEP // USUAL_BATCH}), clips/s (target: at least 4 times):", ""]
    if processor_s:
        extractor_ms, ours_ms = (1e3 * found["processor"][name] for name in ("extractor", "ours"))
        told = f"{1e3 * processor_s:.1f} ms, of which its feature extractor {extractor_ms:.1f} ms (our mel, once a clip: {ours_ms:.1f} ms)"
        lines[:0] = [f"The usual recipe's processor, on one core, for a clip of {PROCESSOR_CLIP_S:g} s in each epoch: {told}.", ""]
    for name in (SAME, *SCOPES):
        rows = _rates(found, name)
        if rows:
            best = max(rows, key=lambda row: row["clips_per_s"])
            shown = rows if name == SAME else [best]
            for row in shown:
                ratio = row["clips_per_s"] * usual_s
                beside = f"; its processor in one process beside: {row['clips_per_s'] * max(usual_s, processor_s):.1f} times" if processor_s else ""
                in_turn = f"; in turn: {row['clips_per_s'] * (usual_s + processor_s):.1f} times" if processor_s else ""
                lines.append(f"- {name}, {row['clips']} clips, {row['together']} in a pass: {ratio:.1f} times{beside}{in_turn}")
    return "\n".join(lines)


def _memory(found: dict[str, Any]) -> str:
    lines = []
    for row in found["steps"]:
        if row["clips"] == row["together"] == MEMORY_BATCH and row["reserved_bytes"] is not None:
            target = "" if row["part"].startswith("full") else f" (target: {8 if row['part'].startswith('QLoRA') else 16} GB)"
            loading = found["loading_bytes"].get(row["part"])
            before = f"; {_gb(loading)} GB while it is loaded" if loading else ""
            lines.append(f"- {row['part']}, batch {MEMORY_BATCH}: {_gb(row['reserved_bytes'])} GB reserved{target}{before}")
    return "\n".join(["Memory:", "", *lines]) if lines else ""


def _once(found: dict[str, Any]) -> str:
    told = [f"{name} {1e3 * seconds:.1f} ms" for name, seconds in found["hearing_s"].items() if seconds]
    return f"What is frozen of the audio path, once a clip and not in the steps above: {', '.join(told)}." if told else ""


def _generation(found: dict[str, Any]) -> str:
    if not found["generation"]:
        return ""
    lines = ["| generation, clips | cache | tokens/s | ms to the first token | s more for the first go |", "|---|---|---|---|---|"]
    rows = (
        f"| {row['clips']} | {row['cache']} | {row['tokens_per_s']:,.0f} | {1e3 * row['prompt_s']:.1f} | {row['first_s']:.1f} |" for row in found["generation"]
    )
    return "\n".join([*lines, *rows])


def _profiles(found: dict[str, Any]) -> list[str]:
    told = []
    for name, seen in found["profiles"].items():
        largest = next(iter(seen["kinds"]))
        kinds = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in seen["kinds"].items())
        lines = [f"A step of {name}, {seen['clips']} clips: the most goes to {largest} ({kinds}).", "", "| kernel | share of the step |", "|---|---|"]
        lines += [f"| `{kernel[:120].replace('|', '/')}` | {100 * share:.1f} % |" for kernel, share in seen["kernels"]]
        told.append("\n".join(lines))
    return told


def _skipped(found: dict[str, Any]) -> str:
    lines = [f"- {each['part']}: {each['reason']}" for each in found["skipped"]]
    return "\n".join(["Not measured:", "", *lines]) if lines else ""


def _rates(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [row for row in found["steps"] if row["part"] == name]


def _gb(number: int | None) -> str:
    return "" if number is None else f"{number / 1e9:.1f}"
