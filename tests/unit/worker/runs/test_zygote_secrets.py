"""What a job must not find in its environment."""

import os
import subprocess
import sys

SCRIPT = """
from pathlib import Path
import worker.runs.zygote as zygote

started = zygote.Zygote(Path("/nowhere"))
started.warm()
environment = Path(f"/proc/{started.pid}/environ")
# Empty until the new program has begun.
while not (found := environment.read_text()):
    pass
print(found)
"""
SECRETS = {
    "DATABASE_URL": "postgresql://lab:kept@db/lab",
    "REDIS_URL": "redis://:kept@broker",
    "GPULAB_NODE_TOKEN": "kept",
    "AWS_SECRET_ACCESS_KEY": "kept",
}


def test_jobs_inherit_no_secret_of_the_worker() -> None:
    environment = {**os.environ, **SECRETS, "HARMLESS": "passed on"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert "HARMLESS=passed on" in found
    assert "OMP_WAIT_POLICY" in found
    assert "kept" not in found
