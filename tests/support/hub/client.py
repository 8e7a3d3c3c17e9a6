"""What people's programs do with the Hub, in a process of its own, as the client reads its settings once.

python -m tests.support.hub.client everything FOLDER        prints one JSON object
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CARD = "---\nlicense: apache-2.0\npipeline_tag: automatic-speech-recognition\nlanguage: en\ntags:\n- voice\n---\n# A model\n"
LARGE_BYTES = 3_000_000


def folder_of_a_model(folder: Path, seed: int = 7) -> Path:
    """A card, a small file below a folder, and a large one."""
    (folder / "sub").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    (folder / "sub" / "config.json").write_text('{"a": 1}')
    (folder / "model.safetensors").write_bytes(random.Random(seed).randbytes(LARGE_BYTES))
    return folder


def everything(folder: Path) -> dict[str, Any]:
    """Nearly all that can be done with a model repository, checked where it is done."""
    from huggingface_hub import HfApi, ModelCard, hf_hub_download, snapshot_download

    api, name = HfApi(), "alice/model"
    source = folder_of_a_model(folder / "up")
    api.create_repo(name, private=True)
    api.create_repo(name, private=True, exist_ok=True)
    first = api.upload_folder(folder_path=source, repo_id=name, commit_message="All of it")
    again = api.upload_folder(folder_path=source, repo_id=name, commit_message="Nothing new")
    info = api.model_info(name, files_metadata=True)
    small = Path(hf_hub_download(name, "sub/config.json"))
    large = Path(hf_hub_download(name, "model.safetensors", local_dir=folder / "down"))
    whole = Path(snapshot_download(name))
    assert snapshot_download(name) == str(whole)
    card = ModelCard.load(name)
    card.data.tags = ["other"]
    card.push_to_hub(name)
    api.upload_file(path_or_fileobj=b"hello", path_in_repo="a.txt", repo_id=name)
    api.upload_file(path_or_fileobj=b"\0" * 2000, path_in_repo="a.bin", repo_id=name)
    api.delete_file("a.txt", repo_id=name)
    api.upload_folder(folder_path=source, repo_id=name, delete_patterns="*.bin", commit_message="Tidy")
    api.create_tag(name, tag="v1", revision=first.oid)
    api.create_branch(name, branch="feature/x")
    pull = api.upload_file(path_or_fileobj=b"proposed", path_in_repo="b.txt", repo_id=name, create_pr=True)
    refs = api.list_repo_refs(name, include_pull_requests=True)
    told = {
        "unchanged_is_no_commit": again.oid == first.oid,
        "sizes": {each.rfilename: each.size for each in info.siblings or []},
        "small": small.read_text(),
        "large_is_equal": large.read_bytes() == (source / "model.safetensors").read_bytes(),
        "snapshot_is_equal": all((whole / path).read_bytes() == (source / path).read_bytes() for path in ("README.md", "model.safetensors")),
        "titles": [commit.title for commit in api.list_repo_commits(name)],
        "tagged": [tag.name for tag in refs.tags],
        "branches": sorted(branch.name for branch in refs.branches),
        "proposed": api.file_exists(name, "b.txt", revision=pull.pr_revision) and not api.file_exists(name, "b.txt"),
        "at_the_tag": sorted(api.list_repo_files(name, revision="v1")),
        "at_the_end": sorted(api.list_repo_files(name)),
        "tags": ModelCard.load(name).data.tags,
        "searched": [each.id for each in api.list_models(author="alice")],
    }
    api.move_repo(name, "alice/renamed")
    told["by_its_old_name"] = api.repo_info(name).id
    api.delete_repo("alice/renamed")
    told["gone"] = not api.repo_exists("alice/renamed")
    return told


def once(folder: Path) -> dict[str, Any]:
    """Only what has to be there for others to look at: a private model with a large file."""
    from huggingface_hub import HfApi

    HfApi().create_repo("alice/model", private=True)
    return {"revision": HfApi().upload_folder(folder_path=folder_of_a_model(folder / "up"), repo_id="alice/model").oid}


def nearly_the_same(folder: Path) -> dict[str, Any]:
    """Upload a file of 8 MB, and then one that only has some bytes more in its middle."""
    from huggingface_hub import HfApi

    data = random.Random(1).randbytes(8_000_000)
    HfApi().create_repo("alice/model")
    for name, what in (("a.bin", data), ("b.bin", data[:4_000_000] + b"inserted" * 100 + data[4_000_000:])):
        (folder / name).write_bytes(what)
        HfApi().upload_file(path_or_fileobj=folder / name, path_in_repo=name, repo_id="alice/model")
    return {}


def dataset(folder: Path) -> dict[str, Any]:
    """Push a dataset as `datasets` does and read it back, whole and streamed."""
    from datasets import Dataset, load_dataset

    rows = {"text": [f"row {number}" for number in range(50)]}
    Dataset.from_dict(rows).push_to_hub("alice/rows", private=True)
    streamed = [row["text"] for row in load_dataset("alice/rows", split="train", streaming=True)]
    return {"whole": load_dataset("alice/rows", split="train")["text"][:] == rows["text"], "streamed": streamed == rows["text"]}


def refusals(folder: Path) -> dict[str, Any]:
    """What each kind of person is told; the class of the error, its status and the Hub's words."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    source = folder_of_a_model(folder / "up")
    mine, reader, other, fine, revoked, nobody = (HfApi(token=name) for name in ("hf_write", "hf_read", "hf_other", "hf_fine", "hf_revoked", False))
    mine.create_repo("alice/secret", private=True)
    mine.create_repo("alice/gated")
    mine.upload_file(path_or_fileobj=b"x", path_in_repo="a.txt", repo_id="alice/gated")
    mine.update_repo_settings("alice/gated", gated="auto")
    told: dict[str, Any] = {}

    def asked(what: str, do: Callable[[], Any]) -> None:
        try:
            do()
            told[what] = "done"
        except (HfHubHTTPError, ValueError) as error:
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
            told[what] = [type(error).__name__, status, getattr(error, "server_message", None) or str(error)]

    asked("revoked, who am I", revoked.whoami)
    asked("revoked, create", lambda: revoked.create_repo("alice/new"))
    asked("reader, create", lambda: reader.create_repo("alice/new"))
    asked("reader, upload", lambda: reader.upload_folder(folder_path=source, repo_id="alice/secret"))
    asked("reader, look", lambda: reader.repo_info("alice/secret"))
    asked("other, create", lambda: other.create_repo("alice/new"))
    asked("other, look", lambda: other.repo_info("alice/secret"))
    asked("other, upload to public", lambda: other.upload_file(path_or_fileobj=b"x", path_in_repo="a", repo_id="alice/gated"))
    asked("other, gated file", lambda: hf_hub_download("alice/gated", "a.txt", token="hf_other"))
    asked("nobody, look", lambda: nobody.repo_info("alice/secret"))
    asked("fine, upload", lambda: fine.upload_file(path_or_fileobj=b"x", path_in_repo="a", repo_id="alice/secret"))
    asked("fine, organisation", lambda: fine.create_repo("acme/new"))
    asked("mine, organisation", lambda: mine.create_repo("acme/new"))
    asked("mine, again", lambda: mine.create_repo("alice/secret"))
    asked("mine, no revision", lambda: mine.repo_info("alice/secret", revision="nope"))
    asked("mine, no file", lambda: hf_hub_download("alice/secret", "nope.txt"))
    asked("mine, stale", lambda: mine.upload_folder(folder_path=source, repo_id="alice/secret", parent_commit="0" * 40))
    (source / "README.md").write_text("---\nlicense: apache-3.0\n---\n")
    asked("mine, bad card", lambda: mine.upload_folder(folder_path=source, repo_id="alice/secret"))
    return told


def main() -> None:
    """Do one of these."""
    step: Callable[[Path], dict[str, Any]] = {each.__name__: each for each in (everything, once, nearly_the_same, dataset, refusals)}[sys.argv[1]]
    sys.stdout.write(json.dumps(step(Path(sys.argv[2]))) + "\n")


if __name__ == "__main__":
    main()
