"""node health, node events, node tokens"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision: str = '0008'
down_revision: str | None = '0003'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
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
    # Nullable columns and constants only: nothing is rewritten, and a worker of the version before goes on.
    op.add_column('gpus', sa.Column('seen_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('gpus', sa.Column('known_total_bytes', sa.BigInteger(), nullable=True))
    op.add_column('gpus', sa.Column('unhealthy_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('gpus', sa.Column('xid', sa.Integer(), nullable=True))
    op.add_column('gpus', sa.Column('xid_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('gpus', sa.Column('contested_by', sa.Text(), nullable=True))
    op.add_column('gpus', sa.Column('contested_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('nodes', sa.Column('clock_skew_seconds', sa.Float(precision=53), nullable=True))
    op.add_column('nodes', sa.Column('reconnects', postgresql.ARRAY(sa.DateTime(timezone=True)), server_default=sa.text("'{}'"), nullable=False))
    op.add_column('nodes', sa.Column('token_id', sa.Uuid(), nullable=True))
    op.add_column('nodes', sa.Column('fault', sa.Text(), nullable=True))
    op.add_column('nodes', sa.Column('fault_message', sa.Text(), nullable=True))
    op.add_column('nodes', sa.Column('fault_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('nodes', sa.Column('fault_until', sa.DateTime(timezone=True), nullable=True))
    op.add_column('nodes', sa.Column('cleared_at', sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(op.f('fk_nodes_token_id_node_tokens'), 'nodes', 'node_tokens', ['token_id'], ['id'], postgresql_not_valid=True)
    op.execute('ALTER TABLE nodes VALIDATE CONSTRAINT fk_nodes_token_id_node_tokens')


def downgrade() -> None:
    op.drop_constraint(op.f('fk_nodes_token_id_node_tokens'), 'nodes', type_='foreignkey')
    for name in ('cleared_at', 'fault_until', 'fault_at', 'fault_message', 'fault', 'token_id', 'reconnects', 'clock_skew_seconds'):
        op.drop_column('nodes', name)
    for name in ('contested_at', 'contested_by', 'xid_at', 'xid', 'unhealthy_at', 'known_total_bytes', 'seen_at'):
        op.drop_column('gpus', name)
    op.drop_index('ix_node_tokens_node', table_name='node_tokens')
    op.drop_table('node_tokens')
    op.drop_index('ix_node_events_node_id', table_name='node_events')
    op.drop_table('node_events')
