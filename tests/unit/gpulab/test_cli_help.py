"""Asking for help costs nothing."""

import subprocess
import sys


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom gpulab.cli import main\nassert main(['--help']) == 0\n"
        "print(sorted({'httpx', 'torch', 'sqlalchemy', 'yaml', 'psycopg'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
