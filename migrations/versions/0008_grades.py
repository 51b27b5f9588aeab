"""grades by hand, and the points of an assignment"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    for name in ("max_points", "rerun_points"):
        op.add_column("assignments", sa.Column(name, sa.Float(53)))
    op.create_table(
        "grades",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("points", sa.Float(53)),
        sa.Column("comment", sa.Text()),
        sa.Column(
            "rubric", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("removed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("from_table", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("grader_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignments.id"], name=op.f("fk_grades_assignment_id_assignments")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_grades_user_id_users")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_grades_job_id_jobs")),
        sa.ForeignKeyConstraint(["grader_id"], ["users.id"], name=op.f("fk_grades_grader_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grades")),
    )
    op.create_index("ix_grades_assignment_id_user_id_id", "grades", ["assignment_id", "user_id", "id"])


def downgrade() -> None:
    op.drop_table("grades")
    for name in ("rerun_points", "max_points"):
        op.drop_column("assignments", name)
