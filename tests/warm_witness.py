"""Measured programs start as forks of a process that has loaded torch, which is most of what a short one costs.

The program imports torch as ever, and gets what is loaded. Only what it sets before that import comes too late.
"""

import importlib.abc
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from emulator import witness
from emulator.loading import environment
from emulator.world import World
from tests.templates import ROOT, Forked, Templates

MODULES = ("torch", "tests.warm_witness")


class WarmWitnesses:
    """In the place of `emulator.measuring._start`."""

    def __init__(self) -> None:
        preloads = environment(World(Path("/nowhere")))
        self._templates = Templates({**os.environ, "PYTHONPATH": str(ROOT), **preloads})

    def start(self, arguments: Sequence[str], env: dict[str, str]) -> "subprocess.Popen[bytes]":
        folder = str(Path.cwd())
        request = {"main": MODULES[-1], "argv": [], "env": env, "arguments": [folder, *arguments]}
        out, theirs = os.pipe()
        try:
            forked = Forked(self._templates.address("witness", MODULES), request, [theirs, theirs])
        finally:
            os.close(theirs)
        forked.stdout = os.fdopen(out, "rb")
        return forked

    def stop(self) -> None:
        self._templates.stop()


class _Loaded(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Has the program import a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec, self._loader = module, module.__spec__, module.__loader__

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != self._module.__name__:
            return None
        sys.meta_path.remove(self)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__, module.__loader__ = self._spec, self._loader


def main(folder: str, *arguments: str) -> int:
    os.chdir(folder)
    sys.meta_path.insert(0, _Loaded(sys.modules.pop("torch")))
    return witness.main(*arguments)
