"""fairness"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
revision: str = '0005'
down_revision: str | None = '0004'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

CAUSES = ('out_of_memory', 'diverged', 'error', 'time_limit', 'lost', 'gpu_fault', 'cannot_fit')


def upgrade() -> None:
    op.create_table('shares',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('used_seconds', sa.Float(precision=53), nullable=False),
    sa.Column('weight', sa.Float(precision=53), nullable=False),
    sa.Column('weighed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_shares_user_id_users')),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_shares'))
    )
    op.add_column('leases', sa.Column('held_bytes', sa.BigInteger(), nullable=True))
    op.add_column('leases', sa.Column('share', sa.Float(precision=53), server_default=sa.text('0'), nullable=False))
    op.add_column('leases', sa.Column('yield_requested_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_leases_released_at', 'leases', ['released_at'], unique=False, postgresql_where=sa.text('released_at IS NOT NULL'), postgresql_concurrently=True)
    op.add_column('jobs', sa.Column('estimated_start_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_jobs_queued_owner_id', 'jobs', ['owner_id'], unique=False, postgresql_where=sa.text("state = 'queued'"), postgresql_concurrently=True)
    _causes((*CAUSES, 'idle'))


def downgrade() -> None:
    op.execute("UPDATE jobs SET cause = 'time_limit' WHERE cause = 'idle'")
    _causes(CAUSES)
    op.drop_index('ix_jobs_queued_owner_id', table_name='jobs', postgresql_where=sa.text("state = 'queued'"))
    op.drop_column('jobs', 'estimated_start_at')
    op.drop_index('ix_leases_released_at', table_name='leases', postgresql_where=sa.text('released_at IS NOT NULL'))
    op.drop_column('leases', 'yield_requested_at')
    op.drop_column('leases', 'share')
    op.drop_column('leases', 'held_bytes')
    op.drop_table('shares')


def _causes(known: Sequence[str]) -> None:
    values = ', '.join(repr(cause) for cause in known)
    op.execute('ALTER TABLE jobs DROP CONSTRAINT IF EXISTS ck_jobs_cause_known')
    # NOT VALID: no row can break it, and looking through all of them would hold the lock.
    op.execute(f'ALTER TABLE jobs ADD CONSTRAINT ck_jobs_cause_known CHECK (cause IN ({values})) NOT VALID')
    op.execute('ALTER TABLE jobs VALIDATE CONSTRAINT ck_jobs_cause_known')
