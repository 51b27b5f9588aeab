"""GPUs and machines that are no longer there"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("gpus", sa.Column("gone_at", MOMENT))
    op.add_column("nodes", sa.Column("removed_at", MOMENT))


def downgrade() -> None:
    op.drop_column("nodes", "removed_at")
    # A version without the column would take them for GPUs that are there.
    op.execute("DELETE FROM gpus WHERE gone_at IS NOT NULL")
    op.drop_column("gpus", "gone_at")
