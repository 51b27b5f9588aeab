"""banners that only some users see"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("banners", sa.Column("readers", postgresql.ARRAY(sa.Uuid())))


def downgrade() -> None:
    op.drop_column("banners", "readers")
