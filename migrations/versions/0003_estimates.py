"""estimates of GPU memory"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision: str = '0003'
down_revision: str | None = '0007'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('estimates',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('family', sa.Text(), nullable=False),
    sa.Column('software', sa.Text(), nullable=False),
    sa.Column('workload', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('editable', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('wanted', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('prediction', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('fits', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('state', sa.Text(), server_default=sa.text("'pending'"), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('rung_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('node', sa.Text(), nullable=True),
    sa.Column('token', sa.Uuid(), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name=op.f('ck_estimates_reason_iff_failed')),
    sa.CheckConstraint("state IN ('pending', 'ready', 'failed')", name=op.f('ck_estimates_state_known')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_estimates'))
    )
    op.create_index('ix_estimates_pending', 'estimates', ['asked_at'], unique=False, postgresql_where=sa.text("state = 'pending'"))
    op.add_column('jobs', sa.Column('estimate_id', sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f('fk_jobs_estimate_id_estimates'), 'jobs', 'estimates', ['estimate_id'], ['id'], postgresql_not_valid=True)
    op.execute('ALTER TABLE jobs VALIDATE CONSTRAINT fk_jobs_estimate_id_estimates')
    op.create_table('measured_peaks',
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('estimate_id', sa.Uuid(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('family', sa.Text(), nullable=False),
    sa.Column('gpu', sa.Text(), nullable=False),
    sa.Column('predicted_allocated_bytes', sa.BigInteger(), nullable=False),
    sa.Column('predicted_reserved_bytes', sa.BigInteger(), nullable=False),
    sa.Column('predicted_low_bytes', sa.BigInteger(), nullable=False),
    sa.Column('predicted_likely_bytes', sa.BigInteger(), nullable=False),
    sa.Column('predicted_high_bytes', sa.BigInteger(), nullable=False),
    sa.Column('allocated_bytes', sa.BigInteger(), nullable=True),
    sa.Column('reserved_bytes', sa.BigInteger(), nullable=True),
    sa.Column('device_bytes', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['estimate_id'], ['estimates.id'], name=op.f('fk_measured_peaks_estimate_id_estimates')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_measured_peaks_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', name=op.f('pk_measured_peaks'))
    )
    op.create_index('ix_measured_peaks_family_gpu_at', 'measured_peaks', ['family', 'gpu', 'at'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_measured_peaks_family_gpu_at', table_name='measured_peaks')
    op.drop_table('measured_peaks')
    op.drop_constraint(op.f('fk_jobs_estimate_id_estimates'), 'jobs', type_='foreignkey')
    op.drop_column('jobs', 'estimate_id')
    op.drop_index('ix_estimates_pending', table_name='estimates', postgresql_where=sa.text("state = 'pending'"))
    op.drop_table('estimates')
