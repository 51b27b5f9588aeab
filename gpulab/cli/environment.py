"""`gpulab environment`."""

from typing import Annotated

import typer

from gpulab.cli.session import Session, print_json, session_command

app = typer.Typer()


@session_command(app)
def environment(
    session: Session,
    word: Annotated[str | None, typer.Argument(help="Only packages whose name contains this text.")] = None,
) -> None:
    """List the Python packages that a program of yours finds in the lab."""
    from gpulab.cli.tables import print_table

    found = session.client.environments()
    if session.as_json:
        print_json(found)
        return
    if not found:
        print("no node can run programs now")
    for each in found:
        print(f"Python {each.python} on {', '.join(each.nodes)}")
        wanted = [package for package in each.packages if (word or "").lower() in package.name.lower()]
        print_table(["PACKAGE", "VERSION"], ([package.name, package.version] for package in wanted))
