"""People on the wire."""

from datetime import datetime
from uuid import UUID

from gpulab.schemas.base import Outgoing
from gpulab.states import Role


class MeRead(Outgoing):
    id: UUID
    name: str
    role: Role
    token_name: str
    token_expires_at: datetime | None
