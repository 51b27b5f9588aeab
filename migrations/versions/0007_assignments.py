"""assignments and submissions"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision: str = '0007'
down_revision: str | None = '0005'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('assignments',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('deadline', sa.DateTime(timezone=True), nullable=False),
    sa.Column('templates', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('questions', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('experiments', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('tolerance', sa.Float(precision=53), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('tolerance >= 0', name=op.f('ck_assignments_tolerance_not_negative')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_assignments')),
    sa.UniqueConstraint('name', name=op.f('uq_assignments_name'))
    )
    op.create_table('submissions',
    sa.Column('assignment_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('pinned_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('rerun_job_id', sa.Uuid(), nullable=True),
    sa.ForeignKeyConstraint(['assignment_id'], ['assignments.id'], name=op.f('fk_submissions_assignment_id_assignments')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_submissions_job_id_jobs')),
    sa.ForeignKeyConstraint(['rerun_job_id'], ['jobs.id'], name=op.f('fk_submissions_rerun_job_id_jobs')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_submissions_user_id_users')),
    sa.PrimaryKeyConstraint('assignment_id', 'user_id', name=op.f('pk_submissions'))
    )
    op.create_index('ix_submissions_job_id', 'submissions', ['job_id'], unique=False)


def downgrade() -> None:
    op.drop_table('submissions')
    op.drop_table('assignments')
