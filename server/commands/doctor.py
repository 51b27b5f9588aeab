"""`gpulab doctor`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from server.doctor import Examined, Finding, Status, examine

_COLOURS = {Status.OK: typer.colors.GREEN, Status.WARN: typer.colors.YELLOW, Status.FAIL: typer.colors.RED}


def doctor(
    data: Annotated[Path, typer.Option(help="Folder for `gpulab up`.")] = Path(".lab"),
    host: Annotated[str, typer.Option(help="Address for `gpulab up`.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port for `gpulab up`.")] = 8000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check that this machine has what a lab needs, and how to fix what is missing. Exits with 1 if a check fails."""
    findings: list[Finding] = []
    for finding in examine(Examined(data, host, port)):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.status is Status.FAIL for finding in findings):
        raise typer.Exit(1)


def _print(finding: Finding) -> None:
    word = typer.style(f"{finding.status:<5}", fg=_COLOURS[finding.status])
    typer.echo(f"{word} {finding.check}: {finding.found}")
    if finding.mend is not None:
        typer.echo(f"      {finding.mend}")
