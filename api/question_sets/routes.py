"""The question sets."""

from fastapi import APIRouter, Request, Response

from api.http.rendering import readable
from api.http.routing import LabRoute
from api.question_sets import service
from gpulab.schemas import QuestionSetPage

router = APIRouter(prefix="/v1/question-sets", tags=["studies"], route_class=LabRoute)


@router.get("", operation_id="list_question_sets", response_model=QuestionSetPage)
async def list_question_sets(request: Request) -> Response:
    """Every installed question set with its templates, and the question sets that could not be loaded."""
    return readable(request, service.page())
