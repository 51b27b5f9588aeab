"""Runs an untrusted program: it sees the system and Python read-only, its own folders, and nothing else.

`launch` starts one by bubblewrap; `capability` says why this machine cannot. docs/security.md says what this holds.
"""

from sandbox.capability import capability, mend
from sandbox.devices import DeviceError, MigInstance, device_nodes
from sandbox.groups import Group, Groups
from sandbox.policy import Limits, SandboxPolicy
from sandbox.process import LaunchError, SandboxProcess, launch
from sandbox.system import free_place

__all__ = [
    "DeviceError",
    "Group",
    "Groups",
    "LaunchError",
    "Limits",
    "MigInstance",
    "SandboxPolicy",
    "SandboxProcess",
    "capability",
    "device_nodes",
    "free_place",
    "launch",
    "mend",
]
