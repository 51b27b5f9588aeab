"""Weights of courses"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    # A constant default: no row is written anew.
    op.add_column("courses", sa.Column("weight", sa.Float(53), server_default=sa.text("1"), nullable=False))
    op.create_check_constraint("weight_positive", "courses", "weight > 0", postgresql_not_valid=True)
    op.execute("ALTER TABLE courses VALIDATE CONSTRAINT ck_courses_weight_positive")


def downgrade() -> None:
    op.drop_column("courses", "weight")
