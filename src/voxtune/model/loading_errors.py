"""Why a model could not be loaded, in words: the Hub's refusals told apart, and damaged files named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
from huggingface_hub import get_token, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

from voxtune.errors import ModelError
from voxtune.model.names import ModelPlace, tiny_folder


def config_file(place: ModelPlace) -> Path:
    """The model's config.json on this machine, fetched if need be. Raises ModelError if the model is not to be had.

    Asked before anything else is loaded, it takes one request to find out, where from_pretrained would retry a dozen.
    """
    if place.is_local:
        return Path(place.source) / "config.json"
    try:
        return Path(hf_hub_download(place.source, "config.json", revision=place.revision))
    except (HfHubHTTPError, EntryNotFoundError, httpx2.TransportError, OSError) as error:
        raise explain(place, "configuration", error) from None


def at_its_commit(place: ModelPlace) -> ModelPlace:
    """A model of the Hub at the commit that it is now, or that is in the cache where the Hub is not asked. Raises ModelError if it is not to be had.

    Processor, config and weights are then of one commit, whatever is pushed there while they are loaded.
    """
    if place.is_local or place.revision is not None:
        return place
    commit = config_file(place).parent.name  # the cache keeps each commit in a folder of its name
    return replace(place, revision=commit) if re.fullmatch(r"[0-9a-f]{40}", commit) else place


def optional_file(place: ModelPlace, name: str) -> Path | None:
    """A file beside the model's weights, fetched if need be; None where the model comes without it. Raises ModelError if that cannot be found out."""
    if place.is_local:
        file = Path(place.source) / name
        return file if file.is_file() else None
    try:
        return Path(hf_hub_download(place.source, name, revision=place.revision))
    except LocalEntryNotFoundError as error:
        raise explain(place, name, error) from None
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, httpx2.TransportError, OSError) as error:
        raise explain(place, name, error) from None


def explain(place: ModelPlace, what: str, error: Exception) -> ModelError:
    """The error to raise when the `what` of a model cannot be loaded; its code says which kind it is."""
    reason = f"the {what} of {place.name} cannot be loaded: {first_line(error)}"
    if place.is_local:
        return ModelError(reason, hint="Copy the folder again, whole." if place.source != str(tiny_folder()) else "Install voxtune again.")
    chain = list(_chain(error))
    signed_in = get_token() is not None
    elsewhere = "Or use --model tiny, which needs no network."
    # A gated repository is a kind of "not found" in huggingface_hub's tree: the narrower comes first.
    if any(isinstance(each, GatedRepoError) for each in chain):
        hint = f"Open https://huggingface.co/{place.source}, accept its terms, then " + ("try again." if signed_in else "`hf auth login` and try again.")
        return ModelError(f"{place.name} is gated, and this account has no access to it.", hint=hint, code="gated")
    if any(isinstance(each, RepositoryNotFoundError) for each in chain):
        if signed_in:
            hint = "Check the id; if it is a private repository, sign in (`hf auth login`) with an account that may read it."
            return ModelError(f"there is no model {place.name} on the Hub that this account may read.", hint=hint, code="not_found")
        hint = "Check the id; if it is private or gated, sign in first: `hf auth login`."
        return ModelError(f"there is no public model {place.name} on the Hub, and you are not signed in.", hint=hint, code="no_token")
    if any(isinstance(each, OfflineModeIsEnabled) for each in chain):
        hint = f"Unset HF_HUB_OFFLINE and try again. {elsewhere}"
        return ModelError(f"{place.name} is not in the cache of this machine, and the Hub is switched off (HF_HUB_OFFLINE).", hint=hint, code="no_network")
    answered = any(isinstance(each, HfHubHTTPError) for each in chain)
    if any(isinstance(each, httpx2.TransportError | ConnectionError) for each in chain) or (not answered and "internet connection" in str(error)):
        return ModelError(
            f"{place.name} is not in the cache of this machine, and the Hub cannot be reached.", hint=f"Check the network. {elsewhere}", code="no_network"
        )
    if any(isinstance(each, EntryNotFoundError) for each in chain):
        return ModelError(reason, hint="The repository lacks files of a Voxtral; check the id.", code="not_found")
    return ModelError(reason, hint=f"Check the id and your network, and try again. {elsewhere}")


def first_line(error: Exception) -> str:
    """The first line that says something."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
