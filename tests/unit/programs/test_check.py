"""The hidden check of a hand-in runs as a script does, and says points of what it finds beside itself."""

import json
from pathlib import Path

from tests.unit.programs.hosting import Place

CHECK = """
import json
from pathlib import Path

from gpulab import run

told = json.loads(Path("submission/run.json").read_text())
kept = sorted(path.name for path in Path("submission/outputs").iterdir())
run.result({"points": 10 * told["result"]["accuracy"], "words": f"kept {', '.join(kept)}"})
"""


def test_check_says_points_of_what_was_handed_in(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    files = {"check.py": CHECK, "submission/outputs/model.pt": "x", "submission/outputs/plot.png": "y"}
    place.write(files | {"submission/run.json": json.dumps({"result": {"accuracy": 0.75}})})
    handed_in = "01a22a72-7fb4-7ca6-8272-0f61b1c719b9"
    place.order("program-check", {"command": ["python", "check.py"], "submission": handed_in})
    found = place.to_its_end()
    assert found.status == 0, found.output
    assert found.end["value"] == {"points": 7.5, "words": "kept model.pt, plot.png"}
