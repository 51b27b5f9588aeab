"""Instants that a request names, held against the clock of the database."""

from datetime import datetime

from api.context import Lab
from api.problems import InvalidRequest
from gpulab.schemas import InvalidField
from models.statements import tokens


async def check_in_future(lab: Lab, path: str, moment: datetime) -> None:
    """Raises `InvalidRequest` where the instant is over by the database's clock, by which tokens end."""
    now = await lab.database.scalar(tokens.now)
    if moment <= now:
        field = InvalidField(
            path=path,
            message="must lie in the future",
            limit={"gt": now.isoformat()},
            value=moment.isoformat(),
        )
        raise InvalidRequest(f"{field.path}: {field.message}", errors=[field])
