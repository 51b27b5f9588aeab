"""people: limits, teams, browser sessions, sharing, audit"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision: str = '0004'
down_revision: str | None = '0002'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$
"""
UNLESS_THERE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = '{name}') THEN
        ALTER TABLE users ADD CONSTRAINT {name} UNIQUE USING INDEX {name};
    END IF;
END $$
"""


def upgrade() -> None:
    # Every new column is empty or has a constant default: no table is rewritten.
    op.add_column('users', sa.Column('email', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('section', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('team', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('weight', sa.Float(precision=53), server_default=sa.text('1'), nullable=False))
    op.add_column('users', sa.Column('max_running', sa.Integer(), nullable=True))
    op.add_column('users', sa.Column('max_queued', sa.Integer(), nullable=True))
    op.add_column('users', sa.Column('max_gpu_hours', sa.Float(precision=53), nullable=True))
    op.add_column('users', sa.Column('max_gib_hours', sa.Float(precision=53), nullable=True))
    op.add_column('users', sa.Column('openid_subject', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True))
    for column in ('email', 'openid_subject'):
        name = f'uq_users_{column}'
        op.create_index(name, 'users', [column], unique=True, postgresql_concurrently=True)
        op.execute(UNLESS_THERE.format(name=name))
    for name, condition in (
        ('ck_users_weight_positive', 'weight > 0'),
        ('ck_users_counts_not_negative', 'least(max_running, max_queued) >= 0'),
        ('ck_users_hours_not_negative', 'least(max_gpu_hours, max_gib_hours) >= 0'),
    ):
        op.create_check_constraint(op.f(name), 'users', condition, postgresql_not_valid=True)
        op.execute(f'ALTER TABLE users VALIDATE CONSTRAINT {name}')
    op.create_index('ix_users_section_team', 'users', ['section', 'team'], unique=False, postgresql_concurrently=True)
    op.add_column('tokens', sa.Column('prefix', sa.Text(), nullable=True))
    op.add_column('jobs', sa.Column('shared_with', sa.Text(), nullable=True))
    op.add_column('studies', sa.Column('shared_with', sa.Text(), nullable=True))
    for table in ('jobs', 'studies'):
        op.create_index(
            f'ix_{table}_shared', table, ['id'], unique=False, postgresql_where=sa.text('shared_with IS NOT NULL'),
            postgresql_concurrently=True,
        )
    op.create_table('browser_sessions',
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('token_id', sa.Uuid(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['token_id'], ['tokens.id'], name=op.f('fk_browser_sessions_token_id_tokens')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_browser_sessions_user_id_users')),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_browser_sessions'))
    )
    op.create_index(op.f('ix_browser_sessions_user_id'), 'browser_sessions', ['user_id'], unique=False)
    op.create_table('audit_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('actor_id', sa.Uuid(), nullable=True),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('target', sa.Text(), nullable=True),
    sa.Column('address', sa.Text(), nullable=True),
    sa.Column('request_id', sa.Text(), nullable=True),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events'))
    )
    op.create_index('ix_audit_events_actor_id_id', 'audit_events', ['actor_id', 'id'], unique=False)
    op.create_index('ix_audit_events_target_id', 'audit_events', ['target', 'id'], unique=False)
    op.create_index('ix_audit_events_action_id', 'audit_events', ['action', 'id'], unique=False)
    op.execute(APPEND_ONLY)
    op.execute(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_events'
        ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()'
    )


def downgrade() -> None:
    op.drop_table('audit_events')
    op.execute('DROP FUNCTION refuse_change()')
    op.drop_table('browser_sessions')
    op.drop_index('ix_studies_shared', table_name='studies')
    op.drop_index('ix_jobs_shared', table_name='jobs')
    op.drop_column('studies', 'shared_with')
    op.drop_column('jobs', 'shared_with')
    op.drop_column('tokens', 'prefix')
    op.drop_index('ix_users_section_team', table_name='users')
    op.drop_constraint(op.f('ck_users_hours_not_negative'), 'users')
    op.drop_constraint(op.f('ck_users_counts_not_negative'), 'users')
    op.drop_constraint(op.f('ck_users_weight_positive'), 'users')
    op.drop_constraint(op.f('uq_users_openid_subject'), 'users')
    op.drop_constraint(op.f('uq_users_email'), 'users')
    for name in (
        'disabled_at', 'openid_subject', 'max_gib_hours', 'max_gpu_hours', 'max_queued', 'max_running', 'weight',
        'team', 'section', 'email',
    ):
        op.drop_column('users', name)
