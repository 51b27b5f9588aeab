"""Every interpreter that has this folder on its path begins with this: workers have their zygotes forked."""

import sys

if sys.orig_argv[1:3] == ["-m", "worker"]:
    from tests.templates import take_zygotes

    take_zygotes()
