"""`voxtune demo`: the promise of the README, as a test."""

from __future__ import annotations

import json

from tests.support.command import Command


def test_the_demo_cuts_the_error_rate_of_a_new_voice_to_a_third(voxtune: Command) -> None:
    done = voxtune("demo", "--json", "--keep", "kept", timeout_s=1_200)
    assert done.code == 0, done.err
    report = done.json
    assert report["base"]["wer"] > 0.4
    assert report["tuned"]["wer"] <= report["base"]["wer"] / 3
    assert report["verdict"] == "better"
    assert report["wer_reduction_ci95"][0] > 0
    assert report["num_clips"] == len(report["clips"]) == 14
    for words in ("voxtune dataset import", "voxtune train", "voxtune evaluate", "Verdict", "Worst sentences", "kept"):
        assert words in done.err
    run = voxtune.folder / "kept" / "run"
    trained_on = {row["text"] for row in map(json.loads, (run / "clips.jsonl").read_text().splitlines()) if row["split"] != "test"}
    assert trained_on.isdisjoint(clip["text"] for clip in report["clips"])
    heard = voxtune("transcribe", voxtune.folder / "kept" / "dataset" / "wavs", "--model", run, "--language", "en", "--json")
    assert heard.code == 0, heard.err
    assert len(heard.json) == 120
    texts = {clip["audio_path"].rsplit("/", 1)[-1]: clip["tuned_text"] for clip in report["clips"]}
    again = {row["audio_path"].rsplit("/", 1)[-1]: row["text"] for row in heard.json}
    assert sum(again[name] == text for name, text in texts.items()) >= 13  # reloaded, it hears what it heard; batches of other sizes may round otherwise
