"""`python -m docs_site`: assemble the pages, then build the site; a link that leads nowhere fails it."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from docs_site.changes import releases
from docs_site.pages import assemble
from docs_site.scripts import move_inline_scripts, pack

ROOT = Path(__file__).parent.parent
CONFIG = Path(__file__).parent / "zensical.toml"


def build(out: Path) -> int:
    """Pages in `out/pages`, the site in `out/site`; returns the generator's exit code."""
    shutil.rmtree(out, ignore_errors=True)
    assemble(ROOT, out / "pages")
    shutil.copy(CONFIG, out / "zensical.toml")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    # Warnings are for people: whole words, not one colour code a letter.
    code = subprocess.run(command, cwd=out, env={**os.environ, "NO_COLOR": "1"}, check=False).returncode
    if code == 0:
        move_inline_scripts(out / "site")
        changes = releases((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
        (out / "site" / "changes.json").write_text(json.dumps(changes))
        pack(out / "site")
    return code


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs_site", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs", help="folder to build in; emptied first")
    out = parser.parse_args().out.resolve()
    code = build(out)
    if code == 0:
        sys.stdout.write(f"{out / 'site' / 'index.html'}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
