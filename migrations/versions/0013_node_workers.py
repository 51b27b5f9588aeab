"""nodes know the worker that serves them, and what it could not read of its data sets"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = '0013'
down_revision: str | None = '0012'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column('nodes', sa.Column('worker_id', sa.Text(), nullable=True))
    op.add_column(
        'nodes', sa.Column('skipped_datasets', postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column('nodes', 'skipped_datasets')
    op.drop_column('nodes', 'worker_id')
