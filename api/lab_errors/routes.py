"""What failed in the lab itself, not in runs."""

from fastapi import APIRouter, Request, Response

from api.auth.principal import Admin
from api.context import TheApp
from api.http.openapi import problems
from api.http.problems import Forbidden
from api.http.rendering import readable
from api.http.routing import LabRoute
from api.lab_errors.advice import advice_for
from gpulab.schemas import LabErrorPage, LabErrorRead
from models.statements import lab_errors

router = APIRouter(prefix="/v1/errors", tags=["errors"], route_class=LabRoute)


@router.get("", operation_id="list_lab_errors", response_model=LabErrorPage, responses=problems(Forbidden))
async def list_lab_errors(request: Request, app: TheApp, _: Admin) -> Response:
    """What failed in the lab within 30 days, the last one first; at most 500 groups. Errors are alike if they differ
    in ids and numbers alone.
    """
    rows = await app.database.rows(lab_errors.newest)
    items = [
        LabErrorRead(**row._asdict(), advice=advice_for(row.event, process=row.process, host=row.host)) for row in rows
    ]
    return readable(request, LabErrorPage(items=items))
