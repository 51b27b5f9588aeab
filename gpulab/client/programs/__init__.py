"""Your own code: read from a folder, sent where the lab has it not, and run."""

from gpulab.client.programs.local import LocalRun, local_run
from gpulab.client.programs.sending import Programs

__all__ = ["LocalRun", "Programs", "local_run"]
