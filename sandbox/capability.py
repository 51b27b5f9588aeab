"""Whether this machine can run a sandbox: tried once, for real."""

import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from sandbox.policy import SandboxPolicy
from sandbox.process import LaunchError, launch
from sandbox.seccomp import SeccompError, filter_descriptor

STATUS = "/proc/self/status"
PROBE = f"test ! -w / && grep -q 'NoNewPrivs:.1' {STATUS} && grep -q 'Seccomp:.2' {STATUS} && echo contained"
PROBE_SECONDS = 20.0
INSTALL = "install the system's package bubblewrap (Debian, Ubuntu: apt install bubblewrap)"
ALLOW_NAMESPACES = (
    "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 and user.max_user_namespaces=10000; on Ubuntu "
    "also kernel.apparmor_restrict_unprivileged_userns=0; in a container see docs/security.md"
)
MENDS = (
    ("bubblewrap is not installed", INSTALL),
    ("libseccomp", "install the system's package libseccomp2"),
    ("proc", "in a container: security_opt systempaths=unconfined, and no GPUs; see docs/security.md"),
)


@cache
def capability() -> str | None:
    """Why this machine cannot run a program of a user; None where it can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    try:
        os.close(filter_descriptor())
        return _tried()
    except (SeccompError, LaunchError) as error:
        return f"no sandbox can be made: {str(error) or 'bubblewrap failed'}"


def mend(reason: str) -> str:
    """What to do about a reason of `capability`."""
    return next((words for part, words in MENDS if part in reason), ALLOW_NAMESPACES)


def _tried() -> str | None:
    with TemporaryFile() as output:
        process = launch(SandboxPolicy(), ["/bin/sh", "-c", PROBE], {"PATH": "/usr/bin:/bin"}, output=output.fileno())
        if not process.wait(PROBE_SECONDS):
            process.kill()
        status = process.status
        said = os.pread(output.fileno(), 500, 0).decode("utf-8", "backslashreplace").strip()
    if status == 0 and said == "contained":
        return None
    return f"no sandbox can be made: {said or f'the trial ended with status {status}'}"


def running_as_root() -> bool:
    """Whether a sandbox would run as root of this machine, which no setting of it can change."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text(encoding="ascii").split()[:2] == ["0", "0"]
