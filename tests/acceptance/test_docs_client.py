"""The examples of docs/client.md run, top to bottom, on a real lab."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import gpulab
from gpulab import errors
from tests.lab import ROOT, Lab

PAGE = (ROOT / "docs" / "client.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_examples_run_top_to_bottom(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.setenv("GPULAB_URL", lab.url)
    monkeypatch.setenv("GPULAB_TOKEN", lab.token)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCK.findall(PAGE):
        exec(compile(block, "docs/client.md", "exec"), names)  # noqa: S102 - our own page
    names["client"].close()
    out = capsys.readouterr().out
    assert "succeeded" in out
    assert "spec.dropout {'lt': 1.0} 1.5" in out
    assert list((tmp_path / "results").iterdir()) != []


def test_every_exception_is_told() -> None:
    kinds = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    assert [name for name in kinds if f"`{name}`" not in PAGE] == []


def test_every_method_of_a_job_is_told() -> None:
    methods = [name for name, _ in inspect.getmembers(gpulab.Job, inspect.isfunction) if not name.startswith("_")]
    assert [name for name in methods if f"{name}(" not in PAGE] == []
