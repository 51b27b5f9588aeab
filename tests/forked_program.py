"""Runs a module in a process that a template forks: `python -I -S forked_program.py ADDRESS MODULE ARGUMENTS...`.

It has the input, output, folder, environment and exit status of this one, which imports next to nothing.
"""

import json
import os
import socket
import sys

MAX_MESSAGE_BYTES = 2**17


def main(address: str, module: str, *arguments: str) -> int:
    request = {
        "main": module,
        "argv": [module, *arguments],
        "env": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib is half of what this program would cost
        "has_input": True,
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as template:
        template.connect(address)
        socket.send_fds(template, [json.dumps(request).encode()], [1, 2, 0])
        template.recv(MAX_MESSAGE_BYTES)  # its number
        said = template.recv(MAX_MESSAGE_BYTES)
    status: int = json.loads(said) if said else 1
    return status & 0xFF


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
