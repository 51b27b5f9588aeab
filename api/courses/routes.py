"""The courses."""

from fastapi import APIRouter, Request, Response

from api.courses import service
from api.http.rendering import readable
from api.http.routing import LabRoute
from gpulab.schemas import CoursePage

router = APIRouter(prefix="/v1/courses", tags=["studies"], route_class=LabRoute)


@router.get("", operation_id="list_courses", response_model=CoursePage)
async def list_courses(request: Request) -> Response:
    """Every installed course with its templates, and the courses that could not be loaded."""
    return readable(request, service.page())
