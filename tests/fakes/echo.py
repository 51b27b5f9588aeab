"""A program that says what it was started with."""

import json
import os
import sys


def main() -> int:
    said = {
        "arguments": sys.argv[1:],
        "folder": os.getcwd(),  # noqa: PTH109 - as the kernel says it
        "environment": dict(os.environ),
        "input": sys.stdin.read(),
    }
    sys.stdout.write(json.dumps(said))
    sys.stderr.write("and an error\n")
    return 3
