"""A Hugging Face Hub for tests: the real client speaks to it as to the real one, over LFS and over Xet."""

from tests.support.hub.app import HubServer
from tests.support.hub.faults import Call, Fault

__all__ = ["Call", "Fault", "HubServer"]
