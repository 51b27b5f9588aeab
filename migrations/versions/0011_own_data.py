"""notes, deleted runs, users who are erased, and what retention removed"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
REFERRING = (("jobs", "retry_of"), ("studies", "report_job_id"), ("submissions", "rerun_job_id"),
             ("submissions", "check_job_id"), ("grades", "job_id"))  # fmt: skip
"""Columns that name a job. Without an index, each deleted job would read the whole table."""
REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {unless}
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$
"""
UNLESS_ERASING = """
    IF TG_OP = 'UPDATE' AND current_setting('gpulab.erasing', true) = 'on' THEN RETURN NULL; END IF;
"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("note", sa.Text()))
    op.add_column("jobs", sa.Column("removed", postgresql.JSONB(astext_type=sa.Text())))
    op.add_column("users", sa.Column("erasure", sa.Text()))
    op.add_column("users", sa.Column("anonymised_at", MOMENT))
    op.create_table(
        "deleted_files",
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deleted_files")),
    )
    op.create_table(
        "past_use",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("held_bytes", sa.BigInteger()),
        sa.Column("share", sa.Float(53), nullable=False),
        sa.Column("granted_at", MOMENT, nullable=False),
        sa.Column("released_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_past_use_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_use")),
    )
    op.create_index("ix_past_use_owner_id", "past_use", ["owner_id"])
    op.create_index("ix_past_use_released_at", "past_use", ["released_at"])
    for table, column in REFERRING:
        op.create_index(
            f"ix_{table}_{column}",
            table,
            [column],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
            postgresql_concurrently=True,
        )
    op.create_index(
        "ix_users_erasure",
        "users",
        ["id"],
        postgresql_where=sa.text("erasure IS NOT NULL"),
        postgresql_concurrently=True,
    )
    op.drop_constraint(op.f("fk_measured_peaks_job_id_jobs"), "measured_peaks", type_="foreignkey", if_exists=True)
    op.execute(REFUSE_CHANGE.format(unless=UNLESS_ERASING))


def downgrade() -> None:
    op.execute(REFUSE_CHANGE.format(unless=""))
    op.execute("DELETE FROM measured_peaks WHERE job_id NOT IN (SELECT id FROM jobs)")
    op.create_foreign_key(
        op.f("fk_measured_peaks_job_id_jobs"),
        "measured_peaks",
        "jobs",
        ["job_id"],
        ["id"],
        postgresql_not_valid=True,
    )
    op.drop_index("ix_users_erasure", "users")
    for table, column in REFERRING:
        op.drop_index(f"ix_{table}_{column}", table)
    op.drop_table("past_use")
    op.drop_table("deleted_files")
    op.drop_column("users", "anonymised_at")
    op.drop_column("users", "erasure")
    op.drop_column("jobs", "removed")
    op.drop_column("jobs", "note")
