"""lab hours"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "lab_hours",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("section", sa.Text(), nullable=True),
        sa.Column("assignment_id", sa.Uuid(), nullable=True),
        sa.Column("user_ids", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("local_start", sa.DateTime(), nullable=False),
        sa.Column("local_end", sa.DateTime(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("weekly_until", sa.Date(), nullable=True),
        sa.Column("skipped_days", postgresql.ARRAY(sa.Date()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("give_back_minutes", sa.Integer(), nullable=False),
        sa.Column("kept", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("local_start < local_end", name=op.f("ck_lab_hours_ends_after_start")),
        sa.CheckConstraint("gpus > 0", name=op.f("ck_lab_hours_gpus_positive")),
        sa.CheckConstraint("gpus IS NOT NULL OR node IS NOT NULL", name=op.f("ck_lab_hours_gpus_or_a_node")),
        sa.CheckConstraint(
            "section IS NOT NULL OR assignment_id IS NOT NULL OR cardinality(user_ids) > 0",
            name=op.f("ck_lab_hours_for_somebody"),
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignments.id"], name=op.f("fk_lab_hours_assignment_id_assignments")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_lab_hours_created_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lab_hours")),
    )


def downgrade() -> None:
    op.drop_table("lab_hours")
