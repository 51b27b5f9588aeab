"""gpu constants: what a node measured of its GPUs"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0009"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("gpus", sa.Column("constants", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True))
    op.add_column("gpus", sa.Column("constants_of", sa.Text(), nullable=True))
    op.add_column("gpus", sa.Column("constants_reason", sa.Text(), nullable=True))


def downgrade() -> None:
    for name in ("constants_reason", "constants_of", "constants"):
        op.drop_column("gpus", name)
