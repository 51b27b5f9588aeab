"""Imported before torch, by a process that others are forked from: on a machine without a GPU these can predict."""

from emulator.loading import real_driver
from experiments.memory.processes import take_emulated_driver

if real_driver() is None:
    take_emulated_driver()
