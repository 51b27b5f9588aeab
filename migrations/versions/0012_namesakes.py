"""people may be called alike: their addresses tell them apart"""

from collections.abc import Sequence

from alembic import op

revision: str = '0012'
down_revision: str | None = '0011'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.drop_constraint('uq_users_name', 'users', type_='unique', if_exists=True)


def downgrade() -> None:
    # Namesakes who came meanwhile must be renamed first.
    op.create_unique_constraint('uq_users_name', 'users', ['name'])
