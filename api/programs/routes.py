"""Programs: send, list, read, compare."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import headers, problems
from api.http.parameters import Cursor, Limit
from api.http.problems import (
    ArtifactQuotaReached,
    BodyTooLarge,
    InvalidCursor,
    InvalidProgram,
    InvalidRequest,
    MalformedBody,
    ProgramFileNotFound,
    ProgramNotFound,
    Unavailable,
    UnsupportedMediaType,
)
from api.http.rendering import json_response, readable
from api.http.routing import LabRoute
from api.programs import service
from gpulab.schemas.programs import ProgramDifferenceRead, ProgramPage, ProgramRead

router = APIRouter(prefix="/v1/programs", tags=["programs"], route_class=LabRoute)

ID = r"^[0-9a-f]{64}$"
ProgramId = Annotated[str, Path(pattern=ID, description="The program's id, its SHA-256.")]
BYTES = {"schema": {"type": "string", "format": "binary"}}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "archive": {
                            "type": "string",
                            "format": "binary",
                            "description": "A zip, or a tar (plain, gzip, bzip2, xz). Instead of `files`.",
                        },
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "One or more files. The file name of each is its path in the program.",
                        },
                        "name": {"type": "string", "maxLength": 200, "description": "Of the folder or script."},
                        "git_commit": {"type": "string", "pattern": "^[0-9a-f]{40}([0-9a-f]{24})?$"},
                        "git_dirty": {"type": "boolean", "description": "Whether files differ from the commit."},
                    },
                }
            }
        },
    }
}


@router.post(
    "",
    operation_id="upload_program",
    status_code=201,
    response_model=ProgramRead,
    openapi_extra=FORM,
    responses={
        200: {"model": ProgramRead, "description": "You have sent these files before."},
        201: {"headers": headers(Location="The program's address.")},
        **problems(
            MalformedBody,
            BodyTooLarge,
            UnsupportedMediaType,
            InvalidRequest,
            InvalidProgram,
            ArtifactQuotaReached,
            Unavailable,
        ),
    },
)
async def upload_program(request: Request, app: TheApp, principal: ThePrincipal) -> Response:
    """Send a program: one archive, or its files. Its id is that of its content: other files are another program."""
    made, new = await service.upload(app, principal, request)
    return json_response(made, status=201 if new else 200, headers={"Location": f"/v1/programs/{made.sha256}"})


@router.get("", operation_id="list_programs", response_model=ProgramPage, responses=problems(InvalidCursor))
async def list_programs(
    request: Request, app: TheApp, principal: ThePrincipal, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """The programs that you sent, newest first, and what the lab takes."""
    return readable(request, await service.page(app, principal, cursor, limit))


@router.get("/{sha256}", operation_id="get_program", response_model=ProgramRead, responses=problems(ProgramNotFound))
async def get_program(request: Request, app: TheApp, principal: ThePrincipal, sha256: ProgramId) -> Response:
    """One program: yours, that of a run you may see, or an assignment's starter."""
    return readable(request, await service.get(app, principal, sha256))


@router.get(
    "/{sha256}/archive",
    operation_id="get_program_archive",
    response_class=Response,
    responses={
        200: {"description": "Every file, as a tar.", "content": {"application/octet-stream": BYTES}},
        **problems(ProgramNotFound),
    },
)
async def get_program_archive(request: Request, app: TheApp, principal: ThePrincipal, sha256: ProgramId) -> Response:
    """All files of a program."""
    return await service.archive(app, principal, request, sha256)


@router.get(
    "/{sha256}/files/{path:path}",
    operation_id="get_program_file",
    response_class=Response,
    responses={
        200: {
            "description": "The file: text, or bytes. A browser never runs it.",
            "content": {"text/plain": {"schema": {"type": "string"}}, "application/octet-stream": BYTES},
            "headers": headers(ETag="SHA-256 of the file.", Content_Disposition="A safe name to save it under."),
        },
        **problems(ProgramNotFound, ProgramFileNotFound),
    },
)
async def get_program_file(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    sha256: ProgramId,
    path: Annotated[str, Path(max_length=1000, description="The file's path in the program.")],
) -> Response:
    """One file of a program."""
    return await service.file(app, principal, request, sha256, path)


@router.get(
    "/{sha256}/diff/{other_sha256}",
    operation_id="compare_programs",
    response_model=ProgramDifferenceRead,
    responses=problems(ProgramNotFound),
)
async def compare_programs(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    sha256: ProgramId,
    other_sha256: Annotated[str, Path(pattern=ID, description="The program to compare with.")],
) -> Response:
    """What differs from the first program to the other: files, and lines of those that are text."""
    return readable(request, await service.difference(app, principal, sha256, other_sha256))
