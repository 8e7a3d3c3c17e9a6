"""`voxtune phrases`: from a Granary on loopback, from our packs, from the practice language and from a person's own file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import granary
from tests.support.command import Command
from voxtune.languages import LANGUAGES
from voxtune.phrases import cleaning, coverage


@pytest.fixture
def online(voxtune: Command, tmp_path: Path) -> Callable[[str], Command]:
    """The command with a Hub at an address, and a cache of its own."""

    def make(endpoint: str) -> Command:
        changes = {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return Command(folder=voxtune.folder, environment={**voxtune.environment, **changes})

    return make


def test_granary_gives_readable_sentences_of_several_places(online: Callable[[str], Command]) -> None:
    with granary.serve(granary.german("ytc", "yodas", "voxpopuli", lines=20_000)) as served:
        done = online(served.endpoint)("phrases", "de", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["source"], found["revision"]) == ("granary", granary.REVISION)
    assert "CC-BY" in found["licence"]
    assert "nvidia/Granary" in found["attribution"]
    texts = [row["text"] for row in found["phrases"]]
    assert len(texts) == len(set(texts)) == 100
    assert all(re.fullmatch(r"[\w ]+\.", text) and cleaning.is_readable(text, "de") for text in texts)
    assert not any(text in trap or text.startswith("Eine Sekunde") for text in texts for trap in granary.TRAPS)
    assert {row["reference"].split("/")[0] for row in found["phrases"]} == {"ytc", "yodas"}
    assert len({row["id"] for row in found["phrases"]}) == 100
    paths = {path for path, _ in served.asked}
    assert paths == {"de/ytc/de_asr.jsonl", "de/yodas/de_asr.jsonl"}
    firsts = sorted(int(wanted.split("=")[1].split("-")[0]) for path, wanted in served.asked if "ytc" in path)
    assert len(firsts) >= 4
    assert firsts[-1] > 0.6 * len(served.files["de/ytc/de_asr.jsonl"])
    read = sum(int(last) - int(first) + 1 for first, last in (re.findall(r"\d+", wanted) for _, wanted in served.asked))
    assert read < 4_000_000


def test_the_same_seed_gives_the_same_phrases_and_the_cache_asks_nobody(online: Callable[[str], Command]) -> None:
    with granary.serve(granary.german("ytc")) as served:
        voxtune = online(served.endpoint)
        first = voxtune("phrases", "de", "--count", 30, "--json").json
        asked = len(served.asked)
        assert voxtune("phrases", "de", "--count", 30, "--json").json == first
        assert len(served.asked) == asked
        longer = voxtune("phrases", "de", "--count", 40, "--json").json
        assert longer["phrases"][:30] == first["phrases"]  # ten more are added, none is changed
        other = voxtune("phrases", "de", "--count", 30, "--seed", 1, "--json").json
    assert other["phrases"] != first["phrases"]
    assert voxtune("phrases", "de", "--count", 30, "--json").json == first  # the server is gone


def test_long_lines_are_cut_into_sentences(online: Callable[[str], Command]) -> None:
    with granary.serve(granary.german("voxpopuli", lines=2_000)) as served:
        found = online(served.endpoint)("phrases", "de", "--source", "granary", "--json").json
    assert len(found["phrases"]) == 100
    assert max(len(row["text"].split()) for row in found["phrases"]) <= cleaning.MAX_WORDS
    sessions = [re.sub(r"_\d+$", "", row["reference"]) for row in found["phrases"]]
    assert max(map(sessions.count, sessions)) <= 2


def test_connections_that_break_cost_only_their_slices(online: Callable[[str], Command]) -> None:
    served_by = granary.german("ytc", "yodas", lines=20_000)
    served_by.break_every = 3
    with granary.serve(served_by) as served:
        done = online(served.endpoint)("phrases", "de", "--source", "granary", "--json")
    assert done.code == 0, done.err
    assert len(done.json["phrases"]) == 100


@pytest.mark.parametrize("trouble", ["broken", "refused", "missing", "few", "dead"])
def test_where_granary_fails_our_own_sentences_are_given_and_the_reason_said(online: Callable[[str], Command], trouble: str) -> None:
    served_by = granary.german("ytc", lines=20 if trouble == "few" else 4_000)
    served_by.break_every = 1 if trouble == "broken" else 0
    served_by.refuse = 503 if trouble == "refused" else 0
    if trouble == "missing":
        served_by.files.clear()
    with granary.serve(served_by) as served:
        voxtune = online("http://127.0.0.1:9" if trouble == "dead" else served.endpoint)
        done = voxtune("phrases", "de", "--json")
        assert done.code == 0, done.err
        assert done.json["source"] == "pack"
        assert "Granary" in done.json["notice"]
        assert "sentences of our own" in done.json["notice"]
        assert len(done.json["phrases"]) == 100
        assert "Granary" in voxtune.refused("phrases", "de", "--source", "granary", code=1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_offline_every_language_has_a_hundred_sentences(voxtune: Command, language: str) -> None:
    found = voxtune("phrases", language, "--offline", "--json").json
    texts = [row["text"] for row in found["phrases"]]
    assert (found["source"], len(texts)) == ("pack", 100)
    again = voxtune("phrases", language, "--offline", "--count", 10, "--json").json
    assert [row["text"] for row in again["phrases"]] == texts[:10]


def test_the_first_ten_cover_more_than_any_ten(voxtune: Command) -> None:
    import random

    from voxtune.phrases import pack

    for language in ("en", "de", "fi", "uk"):
        texts = pack.sentences(language)
        chosen = [texts[place] for place in coverage.choose(texts, 10, seed=0)]
        kinds = [coverage.kind(text) for text in chosen]
        assert set(kinds) == {0, 1, 2}
        of_kind = {kind: [text for text in texts if coverage.kind(text) == kind] for kind in kinds}
        by_chance = []
        for seed in range(50):  # ten of the same lengths
            rng = random.Random(seed)
            by_chance.append(coverage.covered_share([rng.choice(of_kind[kind]) for kind in kinds], texts))
        assert coverage.covered_share(chosen, texts) > max(by_chance)


def test_own_sentences_keep_their_order(voxtune: Command, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("\ufeffZoë Ångström rang.\n\n  Metoprolol, twice   daily \nZoë Ångström rang.\nCan you hear me?\n", encoding="utf-8")
    found = voxtune("phrases", "en", "--source", "own.txt", "--json").json
    assert [row["text"] for row in found["phrases"]] == ["Zoë Ångström rang.", "Metoprolol, twice daily", "Can you hear me?"]
    assert [row["reference"] for row in found["phrases"]] == ["line 1", "line 3", "line 5"]
    (tmp_path / "long.txt").write_text("short\n" + "x" * 400)
    assert "line 2" in voxtune.refused("phrases", "en", "--source", "long.txt", code=1)
    (tmp_path / "bell.txt").write_text("a\x07b")
    assert "control characters" in voxtune.refused("phrases", "en", "--source", "bell.txt", code=1)
    (tmp_path / "blank.txt").write_text("\n \n")
    assert "no sentence" in voxtune.refused("phrases", "en", "--source", "blank.txt", code=1)
    assert "does not exist" in voxtune.refused("phrases", "en", "--source", "gone.txt", code=2)
    assert "two-letter" in voxtune.refused("phrases", "english", code=2)
    assert "no pack" in voxtune.refused("phrases", "xx", "--offline", code=2)
    assert "English" in voxtune.refused("phrases", "de", "--source", "practice", code=2)


def test_they_are_printed_one_a_line_for_other_programs(voxtune: Command) -> None:
    done = voxtune("phrases", "en", "--offline", "--count", 5)
    assert len(done.out.splitlines()) == 5
    assert "our own" in done.err
    assert len(voxtune("phrases", "en", "--source", "practice", "--count", 7).out.splitlines()) == 7
