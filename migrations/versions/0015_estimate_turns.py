"""users take turns at estimates"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = '0015'
down_revision: str | None = '0014'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column('estimates', sa.Column('owner_id', sa.Uuid(), nullable=True))
    op.add_column('estimates', sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(op.f('fk_estimates_owner_id_users'), 'estimates', 'users', ['owner_id'], ['id'], postgresql_not_valid=True)
    op.execute('ALTER TABLE estimates VALIDATE CONSTRAINT fk_estimates_owner_id_users')
    op.create_index('ix_estimates_owner_id_claimed_at', 'estimates', ['owner_id', 'claimed_at'], unique=False, postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index('ix_estimates_owner_id_claimed_at', table_name='estimates')
    op.drop_constraint(op.f('fk_estimates_owner_id_users'), 'estimates', type_='foreignkey')
    op.drop_column('estimates', 'claimed_at')
    op.drop_column('estimates', 'owner_id')
