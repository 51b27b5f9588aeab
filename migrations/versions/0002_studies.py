"""studies"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision: str = '0002'
down_revision: str | None = '0001'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table('studies',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('owner_id', sa.Uuid(), nullable=False),
    sa.Column('idempotency_key', sa.Text(), nullable=True),
    sa.Column('request_digest', sa.LargeBinary(), nullable=True),
    sa.Column('template', sa.Text(), nullable=True),
    sa.Column('scale', sa.Text(), nullable=True),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('definition', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('revision', sa.BigInteger(), server_default=sa.text('1'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('cancelled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('report_job_id', sa.Uuid(), nullable=True),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_studies_owner_id_users')),
    sa.ForeignKeyConstraint(['report_job_id'], ['jobs.id'], name=op.f('fk_studies_report_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_studies'))
    )
    op.create_index('ix_studies_owner_id_id', 'studies', ['owner_id', 'id'], unique=False)
    op.create_index('uq_studies_owner_id_idempotency_key', 'studies', ['owner_id', 'idempotency_key'], unique=True)
    op.create_table('study_runs',
    sa.Column('study_id', sa.Uuid(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('questions', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('cell', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('reused', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_study_runs_job_id_jobs')),
    sa.ForeignKeyConstraint(['study_id'], ['studies.id'], name=op.f('fk_study_runs_study_id_studies')),
    sa.PrimaryKeyConstraint('study_id', 'position', name=op.f('pk_study_runs'))
    )
    op.create_index('ix_study_runs_job_id', 'study_runs', ['job_id'], unique=False)
    op.add_column('jobs', sa.Column('study_id', sa.Uuid(), nullable=True))
    op.create_index('ix_jobs_reusable', 'jobs', ['owner_id', 'experiment', 'seed'], unique=False, postgresql_where=sa.text("state = 'succeeded'"), postgresql_concurrently=True)
    op.create_index('ix_jobs_study_id', 'jobs', ['study_id'], unique=False, postgresql_where=sa.text('study_id IS NOT NULL'), postgresql_concurrently=True)
    op.create_foreign_key(op.f('fk_jobs_study_id_studies'), 'jobs', 'studies', ['study_id'], ['id'], postgresql_not_valid=True)
    op.execute('ALTER TABLE jobs VALIDATE CONSTRAINT fk_jobs_study_id_studies')


def downgrade() -> None:
    op.drop_constraint(op.f('fk_jobs_study_id_studies'), 'jobs', type_='foreignkey')
    op.drop_index('ix_jobs_study_id', table_name='jobs', postgresql_where=sa.text('study_id IS NOT NULL'))
    op.drop_index('ix_jobs_reusable', table_name='jobs', postgresql_where=sa.text("state = 'succeeded'"))
    op.drop_column('jobs', 'study_id')
    op.drop_index('ix_study_runs_job_id', table_name='study_runs')
    op.drop_table('study_runs')
    op.drop_index('uq_studies_owner_id_idempotency_key', table_name='studies')
    op.drop_index('ix_studies_owner_id_id', table_name='studies')
    op.drop_table('studies')
