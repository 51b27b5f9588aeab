"""Requests of clients with another version are refused before anything else is checked."""

from starlette.types import Scope

from api.http.problems import ClientVersion
from gpulab.version import CLIENT_HEADER, VERSION, fits, install_line

HEADER = CLIENT_HEADER.lower().encode()


def misfit(scope: Scope) -> ClientVersion | None:
    """The refusal for a client whose version does not fit the lab's; a program that says none is let pass."""
    said = next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), None)
    if said is None or not scope["path"].startswith("/v1/") or fits(said, VERSION):
        return None
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "LAB")
    where = f"{scope.get('scheme', 'http')}://{host}{scope.get('root_path', '')}"
    return ClientVersion(f"the client is version {said[:40]}, the lab is {VERSION}: {install_line(where, VERSION)}")
