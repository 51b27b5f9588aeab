"""nodes count the leases that they did not take up; the audit is read by time, runs of studies by their questions"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '0011'
down_revision: str | None = '0010'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column('nodes', sa.Column('untaken_leases', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('nodes', sa.Column('untaken_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_audit_events_at_id', 'audit_events', ['at', 'id'], postgresql_concurrently=True)
    op.create_index(
        'ix_study_runs_questions', 'study_runs', ['questions'], postgresql_using='gin', postgresql_concurrently=True
    )


def downgrade() -> None:
    op.drop_index('ix_study_runs_questions', table_name='study_runs', postgresql_concurrently=True, if_exists=True)
    op.drop_index('ix_audit_events_at_id', table_name='audit_events', postgresql_concurrently=True, if_exists=True)
    op.drop_column('nodes', 'untaken_at')
    op.drop_column('nodes', 'untaken_leases')
