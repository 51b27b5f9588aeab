"""The limit of open files is raised where it may be."""

import subprocess
import sys

import pytest

CODE = """
import resource
from server.open_files import file_limits, raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_file_limit(), *file_limits())
"""


@pytest.mark.parametrize(
    ("soft", "hard", "found"),
    [(256, 1000, "1000 1000 1000"), (500, 500, "500 500 500"), (256, 2048, "2048 2048 2048")],
)
def test_limit_is_raised_as_far_as_it_may_be(soft: int, hard: int, found: str) -> None:
    code = CODE.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == found
