"""late work, extensions, and answers that are held back"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    columns: tuple[sa.Column[Any], ...] = (
        sa.Column("late_days", sa.Integer()),
        sa.Column("late_deduction", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("late_deduction_unit", sa.Text(), server_default=sa.text("'percent'"), nullable=False),
        sa.Column("answers_after_deadline", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "deadline_changes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )
    for column in columns:
        op.add_column("assignments", column)
    op.create_table(
        "extensions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("section", sa.Text()),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(user_id IS NULL) <> (section IS NULL)", name=op.f("ck_extensions_for_a_user_or_a_section")
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignments.id"], name=op.f("fk_extensions_assignment_id_assignments")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_extensions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extensions")),
        sa.UniqueConstraint(
            "assignment_id", "user_id", "section", name="uq_extensions_target", postgresql_nulls_not_distinct=True
        ),
    )


def downgrade() -> None:
    op.drop_table("extensions")
    for name in ("deadline_changes", "answers_after_deadline", "late_deduction_unit", "late_deduction", "late_days"):
        op.drop_column("assignments", name)
