"""jobs that wait know the GPU memory that the scheduler counts them with"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '0014'
down_revision: str | None = '0013'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column('jobs', sa.Column('counted_bytes', sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column('jobs', 'counted_bytes')
