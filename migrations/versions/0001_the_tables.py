"""the tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = '0001'
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$
"""
USERS_CHANGED = """
CREATE FUNCTION tell_users_changed() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('gpulab_users', ''); RETURN NULL; END $$
"""
CACHED = ('users', 'tokens', 'browser_sessions')
"""Processes of the API remember who holds which token. A trigger tells them of every change, also of one made by hand."""


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
    sa.Column('starter', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('hidden_check', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('points_released_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('tolerance >= 0', name=op.f('ck_assignments_tolerance_not_negative')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_assignments')),
    sa.UniqueConstraint('name', name=op.f('uq_assignments_name'))
    )
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
    op.create_index('ix_audit_events_action_id', 'audit_events', ['action', 'id'], unique=False)
    op.create_index('ix_audit_events_actor_id', 'audit_events', ['actor', 'id'], unique=False)
    op.create_index('ix_audit_events_at_id', 'audit_events', ['at', 'id'], unique=False)
    op.create_index('ix_audit_events_target_id', 'audit_events', ['target', 'id'], unique=False)
    op.create_table('node_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('node', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_node_events'))
    )
    op.create_index('ix_node_events_node_id', 'node_events', ['node', 'id'], unique=False)
    op.create_table('node_tokens',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('node', sa.Text(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('created_by', sa.Text(), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_node_tokens')),
    sa.UniqueConstraint('digest', name=op.f('uq_node_tokens_digest'))
    )
    op.create_index('ix_node_tokens_node', 'node_tokens', ['node'], unique=False)
    op.create_table('programs',
    sa.Column('sha256', sa.Text(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('file_count', sa.Integer(), nullable=False),
    sa.Column('manifest', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f('ck_programs_sha256_is_hex')),
    sa.PrimaryKeyConstraint('sha256', name=op.f('pk_programs'))
    )
    op.create_table('users',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('email', sa.Text(), nullable=True),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('section', sa.Text(), nullable=True),
    sa.Column('team', sa.Text(), nullable=True),
    sa.Column('weight', sa.Float(precision=53), server_default=sa.text('1'), nullable=False),
    sa.Column('max_running', sa.Integer(), nullable=True),
    sa.Column('max_queued', sa.Integer(), nullable=True),
    sa.Column('max_gpu_hours', sa.Float(precision=53), nullable=True),
    sa.Column('max_gib_hours', sa.Float(precision=53), nullable=True),
    sa.Column('openid_subject', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('least(max_gpu_hours, max_gib_hours) >= 0', name=op.f('ck_users_hours_not_negative')),
    sa.CheckConstraint('least(max_running, max_queued) >= 0', name=op.f('ck_users_counts_not_negative')),
    sa.CheckConstraint('weight > 0', name=op.f('ck_users_weight_positive')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    sa.UniqueConstraint('email', name=op.f('uq_users_email')),
    sa.UniqueConstraint('openid_subject', name=op.f('uq_users_openid_subject'))
    )
    op.create_index('ix_users_section_team', 'users', ['section', 'team'], unique=False)
    op.create_table('estimates',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('owner_id', sa.Uuid(), nullable=True),
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
    sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name=op.f('ck_estimates_reason_iff_failed')),
    sa.CheckConstraint("state IN ('pending', 'ready', 'failed')", name=op.f('ck_estimates_state_known')),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_estimates_owner_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_estimates'))
    )
    op.create_index('ix_estimates_owner_id_claimed_at', 'estimates', ['owner_id', 'claimed_at'], unique=False)
    op.create_index('ix_estimates_pending', 'estimates', ['asked_at'], unique=False, postgresql_where=sa.text("state = 'pending'"))
    op.create_table('nodes',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('slots', sa.Integer(), nullable=False),
    sa.Column('draining', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('datasets', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('skipped_datasets', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('versions', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('gpu_reason', sa.Text(), nullable=True),
    sa.Column('worker_id', sa.Text(), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('heartbeat_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('stopped_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('clock_skew_seconds', sa.Float(precision=53), nullable=True),
    sa.Column('reconnects', postgresql.ARRAY(sa.DateTime(timezone=True)), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('token_id', sa.Uuid(), nullable=True),
    sa.Column('fault', sa.Text(), nullable=True),
    sa.Column('fault_message', sa.Text(), nullable=True),
    sa.Column('fault_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('fault_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('untaken_leases', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('untaken_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cleared_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('slots >= 0', name=op.f('ck_nodes_slots_not_negative')),
    sa.ForeignKeyConstraint(['token_id'], ['node_tokens.id'], name=op.f('fk_nodes_token_id_node_tokens')),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_nodes'))
    )
    op.create_table('program_uploads',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('sha256', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('git_commit', sa.Text(), nullable=True),
    sa.Column('git_dirty', sa.Boolean(), nullable=True),
    sa.Column('uploaded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['sha256'], ['programs.sha256'], name=op.f('fk_program_uploads_sha256_programs')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_program_uploads_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_program_uploads'))
    )
    op.create_index('ix_program_uploads_sha256', 'program_uploads', ['sha256'], unique=False)
    op.create_index('ix_program_uploads_user_id_id', 'program_uploads', ['user_id', 'id'], unique=False)
    op.create_index('uq_program_uploads_user_id_sha256', 'program_uploads', ['user_id', 'sha256'], unique=True)
    op.create_table('shares',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('used_seconds', sa.Float(precision=53), nullable=False),
    sa.Column('weight', sa.Float(precision=53), nullable=False),
    sa.Column('weighed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_shares_user_id_users')),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_shares'))
    )
    op.create_table('tokens',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('prefix', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_tokens_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tokens')),
    sa.UniqueConstraint('digest', name=op.f('uq_tokens_digest'))
    )
    op.create_index(op.f('ix_tokens_user_id'), 'tokens', ['user_id'], unique=False)
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
    op.create_table('gpus',
    sa.Column('uuid', sa.Text(), nullable=False),
    sa.Column('node', sa.Text(), nullable=False),
    sa.Column('index', sa.Integer(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('memory_total_bytes', sa.BigInteger(), nullable=True),
    sa.Column('healthy', sa.Boolean(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('latest', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('known_total_bytes', sa.BigInteger(), nullable=True),
    sa.Column('unhealthy_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('xid', sa.Integer(), nullable=True),
    sa.Column('xid_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('contested_by', sa.Text(), nullable=True),
    sa.Column('contested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('constants', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('constants_of', sa.Text(), nullable=True),
    sa.Column('constants_reason', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['node'], ['nodes.name'], name=op.f('fk_gpus_node_nodes')),
    sa.PrimaryKeyConstraint('uuid', name=op.f('pk_gpus'))
    )
    op.create_index(op.f('ix_gpus_node'), 'gpus', ['node'], unique=False)
    op.create_table('jobs',
    sa.Column('id', sa.Uuid(), server_default=sa.text('uuidv7()'), nullable=False),
    sa.Column('owner_id', sa.Uuid(), nullable=False),
    sa.Column('idempotency_key', sa.Text(), nullable=True),
    sa.Column('request_digest', sa.LargeBinary(), nullable=True),
    sa.Column('experiment', sa.Text(), nullable=False),
    sa.Column('spec', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('program_sha256', sa.Text(), sa.Computed("CASE WHEN experiment IN ('script', 'notebook', 'program-check') THEN spec ->> 'program' END", persisted=True), nullable=True),
    sa.Column('seed', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('tags', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('priority', sa.Text(), nullable=False),
    sa.Column('time_limit_seconds', sa.Integer(), nullable=False),
    sa.Column('gpus', sa.Integer(), nullable=True),
    sa.Column('counted_bytes', sa.BigInteger(), nullable=True),
    sa.Column('gpu_memory_bytes', sa.BigInteger(), nullable=True),
    sa.Column('exclusive', sa.Boolean(), nullable=False),
    sa.Column('datasets', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=True),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('failure', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('wait_reason', sa.Text(), nullable=True),
    sa.Column('estimated_start_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('version', sa.BigInteger(), server_default=sa.text('1'), nullable=False),
    sa.Column('attempt', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('lost_attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('progress_fraction', sa.Float(precision=53), nullable=True),
    sa.Column('progress_message', sa.Text(), nullable=True),
    sa.Column('result', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('device', sa.Text(), nullable=True),
    sa.Column('node', sa.Text(), nullable=True),
    sa.Column('gpu_uuids', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('versions', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('submitted_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cancel_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('retry_of', sa.Uuid(), nullable=True),
    sa.Column('study_id', sa.Uuid(), nullable=True),
    sa.Column('shared_with', sa.Text(), nullable=True),
    sa.Column('estimate_id', sa.Uuid(), nullable=True),
    sa.CheckConstraint("(state = 'failed') = (cause IS NOT NULL)", name=op.f('ck_jobs_cause_iff_failed')),
    sa.CheckConstraint("(state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name=op.f('ck_jobs_finished_iff_final')),
    sa.CheckConstraint("cause IN ('out_of_memory', 'diverged', 'error', 'time_limit', 'lost', 'gpu_fault', 'cannot_fit', 'idle')", name=op.f('ck_jobs_cause_known')),
    sa.CheckConstraint("state IN ('queued', 'leased', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f('ck_jobs_state_known')),
    sa.ForeignKeyConstraint(['estimate_id'], ['estimates.id'], name=op.f('fk_jobs_estimate_id_estimates')),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_jobs_owner_id_users')),
    sa.ForeignKeyConstraint(['program_sha256'], ['programs.sha256'], name=op.f('fk_jobs_program_sha256_programs')),
    sa.ForeignKeyConstraint(['retry_of'], ['jobs.id'], name=op.f('fk_jobs_retry_of_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs'))
    )
    op.create_index('ix_jobs_active', 'jobs', ['id'], unique=False, postgresql_where=sa.text("state IN ('leased', 'running')"))
    op.create_index('ix_jobs_experiment_id', 'jobs', ['experiment', 'id'], unique=False)
    op.create_index('ix_jobs_owner_id_id', 'jobs', ['owner_id', 'id'], unique=False)
    op.create_index('ix_jobs_program_sha256', 'jobs', ['program_sha256'], unique=False, postgresql_where=sa.text('program_sha256 IS NOT NULL'))
    op.create_index('ix_jobs_queued', 'jobs', ['id'], unique=False, postgresql_where=sa.text("state = 'queued'"))
    op.create_index('ix_jobs_queued_owner_id', 'jobs', ['owner_id'], unique=False, postgresql_where=sa.text("state = 'queued'"))
    op.create_index('ix_jobs_reusable', 'jobs', ['owner_id', 'experiment', 'seed'], unique=False, postgresql_where=sa.text("state = 'succeeded'"))
    op.create_index('ix_jobs_shared', 'jobs', ['id'], unique=False, postgresql_where=sa.text('shared_with IS NOT NULL'))
    op.create_index('ix_jobs_state_id', 'jobs', ['state', 'id'], unique=False)
    op.create_index('ix_jobs_study_id', 'jobs', ['study_id'], unique=False, postgresql_where=sa.text('study_id IS NOT NULL'))
    op.create_index('ix_jobs_tags', 'jobs', ['tags'], unique=False, postgresql_using='gin')
    op.create_index('uq_jobs_owner_id_idempotency_key', 'jobs', ['owner_id', 'idempotency_key'], unique=True)
    op.create_table('artifacts',
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.Text(), nullable=False),
    sa.Column('media_type', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_artifacts_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', 'name', name=op.f('pk_artifacts'))
    )
    op.create_table('checkpoints',
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('step', sa.BigInteger(), nullable=False),
    sa.Column('recorded_time', sa.Float(precision=53), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_checkpoints_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', name=op.f('pk_checkpoints'))
    )
    op.create_table('job_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('from_state', sa.Text(), nullable=True),
    sa.Column('to_state', sa.Text(), nullable=True),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_job_events_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job_events'))
    )
    op.create_index('ix_job_events_job_id_id', 'job_events', ['job_id', 'id'], unique=False)
    op.create_table('leases',
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('token', sa.Uuid(), server_default=sa.text('gen_random_uuid()'), nullable=False),
    sa.Column('node', sa.Text(), nullable=False),
    sa.Column('gpu_uuids', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('reserved_bytes', sa.BigInteger(), nullable=True),
    sa.Column('held_bytes', sa.BigInteger(), nullable=True),
    sa.Column('share', sa.Float(precision=53), server_default=sa.text('0'), nullable=False),
    sa.Column('granted_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('rung_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('yield_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('records_offset', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('samples_offset', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('output_offset', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_leases_job_id_jobs')),
    sa.ForeignKeyConstraint(['node'], ['nodes.name'], name=op.f('fk_leases_node_nodes')),
    sa.PrimaryKeyConstraint('job_id', 'attempt', name=op.f('pk_leases')),
    sa.UniqueConstraint('token', name=op.f('uq_leases_token'))
    )
    op.create_index('ix_leases_live_node', 'leases', ['node'], unique=False, postgresql_where=sa.text('released_at IS NULL'))
    op.create_index('ix_leases_released_at', 'leases', ['released_at'], unique=False, postgresql_where=sa.text('released_at IS NOT NULL'))
    op.create_index('uq_leases_live_job_id', 'leases', ['job_id'], unique=True, postgresql_where=sa.text('released_at IS NULL'))
    op.create_table('log_chunks',
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('start', sa.BigInteger(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_log_chunks_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', 'start', name=op.f('pk_log_chunks'))
    )
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
    op.create_table('metric_chunks',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('steps', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.Column('times', postgresql.ARRAY(sa.Double()), nullable=False),
    sa.Column('values', postgresql.ARRAY(sa.Double()), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_metric_chunks_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_metric_chunks'))
    )
    op.create_index('ix_metric_chunks_job_id_name_id', 'metric_chunks', ['job_id', 'name', 'id'], unique=False)
    op.create_table('phases',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('time', sa.Float(precision=53), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_phases_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_phases'))
    )
    op.create_index('ix_phases_job_id_id', 'phases', ['job_id', 'id'], unique=False)
    op.create_table('sample_chunks',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('gpu_uuid', sa.Text(), nullable=True),
    sa.Column('times', postgresql.ARRAY(sa.Double()), nullable=False),
    sa.Column('values', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('reasons', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_sample_chunks_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sample_chunks'))
    )
    op.create_index('ix_sample_chunks_job_id_id', 'sample_chunks', ['job_id', 'id'], unique=False)
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
    sa.Column('shared_with', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_studies_owner_id_users')),
    sa.ForeignKeyConstraint(['report_job_id'], ['jobs.id'], name=op.f('fk_studies_report_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_studies'))
    )
    op.create_index('ix_studies_owner_id_id', 'studies', ['owner_id', 'id'], unique=False)
    op.create_index('ix_studies_shared', 'studies', ['id'], unique=False, postgresql_where=sa.text('shared_with IS NOT NULL'))
    op.create_index('uq_studies_owner_id_idempotency_key', 'studies', ['owner_id', 'idempotency_key'], unique=True)
    op.create_table('submissions',
    sa.Column('assignment_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('pinned_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('rerun_job_id', sa.Uuid(), nullable=True),
    sa.Column('check_job_id', sa.Uuid(), nullable=True),
    sa.ForeignKeyConstraint(['assignment_id'], ['assignments.id'], name=op.f('fk_submissions_assignment_id_assignments')),
    sa.ForeignKeyConstraint(['check_job_id'], ['jobs.id'], name=op.f('fk_submissions_check_job_id_jobs')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_submissions_job_id_jobs')),
    sa.ForeignKeyConstraint(['rerun_job_id'], ['jobs.id'], name=op.f('fk_submissions_rerun_job_id_jobs')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_submissions_user_id_users')),
    sa.PrimaryKeyConstraint('assignment_id', 'user_id', name=op.f('pk_submissions'))
    )
    op.create_index('ix_submissions_job_id', 'submissions', ['job_id'], unique=False)
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
    op.create_index('ix_study_runs_questions', 'study_runs', ['questions'], unique=False, postgresql_using='gin')
    op.create_foreign_key(op.f('fk_jobs_study_id_studies'), 'jobs', 'studies', ['study_id'], ['id'], postgresql_not_valid=True)
    op.execute('ALTER TABLE jobs VALIDATE CONSTRAINT fk_jobs_study_id_studies')
    op.execute(APPEND_ONLY)
    op.execute(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_events'
        ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()'
    )
    op.execute(USERS_CHANGED)
    for table in CACHED:
        op.execute(
            f'CREATE TRIGGER users_changed AFTER UPDATE OR DELETE ON {table} '
            'FOR EACH STATEMENT EXECUTE FUNCTION tell_users_changed()'
        )


def downgrade() -> None:
    op.drop_constraint(op.f('fk_jobs_study_id_studies'), 'jobs', type_='foreignkey')
    op.drop_table('study_runs')
    op.drop_table('submissions')
    op.drop_table('studies')
    op.drop_table('sample_chunks')
    op.drop_table('phases')
    op.drop_table('metric_chunks')
    op.drop_table('measured_peaks')
    op.drop_table('log_chunks')
    op.drop_table('leases')
    op.drop_table('job_events')
    op.drop_table('checkpoints')
    op.drop_table('artifacts')
    op.drop_table('jobs')
    op.drop_table('gpus')
    op.drop_table('browser_sessions')
    op.drop_table('tokens')
    op.drop_table('shares')
    op.drop_table('program_uploads')
    op.drop_table('nodes')
    op.drop_table('estimates')
    op.drop_table('users')
    op.drop_table('programs')
    op.drop_table('node_tokens')
    op.drop_table('node_events')
    op.drop_table('audit_events')
    op.drop_table('assignments')
    op.execute('DROP FUNCTION tell_users_changed()')
    op.execute('DROP FUNCTION refuse_change()')
