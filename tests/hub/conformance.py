"""huggingface_hub's own tests against our Hub: `python -m tests.hub.conformance`.

They come with the sdist of the version that is installed, so this needs a package index; it is no part of the default run. What
may fail stands in conformance_expected.txt with a reason; anything else that fails, and anything there that passes, is an error.
CONFORMANCE_FOLDER keeps what pytest said.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from tests.support.hub import HubServer
from tests.support.hub.state import Token

HERE = Path(__file__).parent
FILES = (
    *("snapshot_download", "commit_api", "lfs", "xet_upload", "xet_download", "repocard", "verification", "hf_file_system", "file_download", "hf_api"),
    *("commit_scheduler", "upload_pipeline", "tree_cache"),
)
# What publishing does not use, and the test server has not got.
LEFT_OUT = (
    *("webhook", "discussion", "collection", "access_request", "accessrequest", "like", "squash", "bucket", "inferencecatalog", "permanentlydeletelfs"),
    "activityapi",
)
MARKED_OUT = "not production and not git_lfs and not vcr"


def fetched(folder: Path) -> Path:
    """The unpacked sdist of the installed client."""
    version = importlib.metadata.version("huggingface_hub")
    wanted = ["--no-deps", "--no-binary", ":all:", "--dest", str(folder), f"huggingface_hub=={version}"]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"huggingface_hub-{version}"


def prepared(hub: HubServer, source: Path) -> None:
    """Have the tests speak to our Hub, with the names that they know."""
    constants = source / "tests" / "testing_constants.py"
    text = constants.read_text()
    known = dict(re.findall(r'^(\w+) = "(.*)"$', text, re.MULTILINE))
    constants.write_text(text.replace(known["ENDPOINT_STAGING"], hub.url))
    shutil.copy(HERE / "conformance_conftest.py", source / "tests" / "conftest.py")
    (source / "tests" / "__init__.py").touch()
    for who, token in (("USER", "TOKEN"), ("OTHER_USER", "OTHER_TOKEN"), ("ENTERPRISE_USER", "ENTERPRISE_TOKEN")):
        hub.tokens[known[token]] = Token(known[who], "write")
        hub.state.fullnames[known[who]] = known["FULL_NAME"]
        hub.state.payers.add(known[who])
    hub.state.organizations["valid_org_hub"] = {known["USER"]: "admin"}
    hub.state.fullnames["valid_org_hub"] = "Dummy Hub Org"
    hub.state.organizations[known["ENTERPRISE_ORG"]] = {known["ENTERPRISE_USER"]: "admin"}
    hub.state.private_by_default.add(known["ENTERPRISE_ORG"])


def tested(hub: HubServer, source: Path, transfer: str, report: Path) -> dict[str, str]:
    """Run them; gives passed, failed or skipped by the name of the test."""
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(source / f"home-{transfer}"), "HF_TOKEN": "", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    own |= {"HF_HUB_DISABLE_XET": "1" if transfer == "lfs" else "0", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    files = [f"tests/test_{name}.py" for name in FILES]
    options = ["-q", "-o", "addopts=", "-o", "env=", "-p", "no:cacheprovider", "--tb=short", "-m", MARKED_OUT, f"--junitxml={report}", "-W", "default"]
    left_out = ["-k", " and ".join(f"not {word}" for word in LEFT_OUT)]
    command = [sys.executable, "-m", "pytest", *options, *left_out, *files]
    with report.with_suffix(".log").open("w") as log:
        subprocess.run(command, cwd=source, env={**os.environ, **own}, stdout=log, stderr=log, check=False)
    results = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        name = f"{case.get('classname', '').removeprefix('tests.')}.{case.get('name')}"
        results[name] = "failed" if results.get(name) == "failed" else outcome
    return results


def expected(transfer: str) -> set[str]:
    """Names of tests that may fail; a line is a name, the transfer path if it is one only, and a reason after #."""
    rows = [line.partition("#")[0].split() for line in (HERE / "conformance_expected.txt").read_text().splitlines()]
    return {row[0] for row in rows if row and (len(row) == 1 or row[1] == transfer)}


def main() -> int:
    """0 where exactly the expected tests fail."""
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("CONFORMANCE_FOLDER", temporary))
        folder.mkdir(parents=True, exist_ok=True)
        source = fetched(folder)
        for transfer in ("xet", "lfs"):
            began = time.monotonic()
            with HubServer(folder / f"server-{transfer}") as hub:
                fresh = folder / f"tests-{transfer}"
                shutil.copytree(source, fresh, dirs_exist_ok=True)
                prepared(hub, fresh)
                results = tested(hub, fresh, transfer, folder / f"{transfer}.xml")
            failed = {name for name, outcome in results.items() if outcome == "failed"}
            new, gone = sorted(failed - expected(transfer)), sorted(expected(transfer) - failed)
            counts = Counter(results.values())
            sys.stdout.write(f"{transfer}: {dict(counts)}, {time.monotonic() - began:.0f} s\n")
            sys.stdout.write("".join(f"  fails and should not: {name}\n" for name in new) + "".join(f"  passes and should not: {name}\n" for name in gone))
            wrong += len(new) + len(gone) + (not counts["passed"])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
