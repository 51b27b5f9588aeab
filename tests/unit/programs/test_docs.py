"""The programs of docs/own-code.md run as they stand, in a lab's host and at home."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.unit.programs.hosting import ROOT, run_script

PAGE = (ROOT / "docs" / "own-code.md").read_text()
PROGRAMS: dict[str, str] = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL))


def test_script_reports_what_the_page_says(tmp_path: Path) -> None:
    found = run_script(tmp_path, {"train.py": PROGRAMS["train.py"]}, parameters={"lr": 0.05}, seed=3)
    assert found.status == 0, found.output
    losses = [value for _, value in found.series("loss")]
    assert len(losses) == 20
    assert losses[-1] < losses[0]
    assert found.artifacts == {"layers.csv"}
    assert [each["step"] for each in found.of("checkpoint")] == [10, 20]
    assert found.end["value"] == {"final_loss": losses[-1], "lr": 0.05}
    assert [each["name"] for each in found.of("phase")][:3] == ["forward", "backward", "step"]


def test_same_script_runs_at_home(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAMS["train.py"])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "train.py", "--steps", "10"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "result: final_loss" in done.stdout
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["layers.csv", "step-10.ckpt"]


def test_tensorboard_needs_no_change(tmp_path: Path) -> None:
    found = run_script(tmp_path, {"train.py": PROGRAMS["with_tensorboard.py"]})
    assert found.series("Loss/train")[0] == (0, 1.0)
    assert found.artifacts == {"digits-first.4.png"}
    assert found.end["type"] == "result"
