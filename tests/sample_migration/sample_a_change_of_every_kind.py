"""a change of every kind: its downgrade takes away what the tables have, its upgrade brings it back"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from alembic.script import ScriptDirectory

from migrations.settings import FOLDER

revision: str = "sample"
down_revision: str | None = ScriptDirectory(str(FOLDER)).get_current_head()
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

STATES = "state IN ('queued', 'leased', 'running', 'succeeded', 'failed', 'cancelled')"
SHARED = sa.text("shared_with IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("used_seconds", sa.Float(precision=53), nullable=False),
        sa.Column("weight", sa.Float(precision=53), nullable=False),
        sa.Column("weighed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_shares_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_shares")),
    )
    op.add_column("jobs", sa.Column("shared_with", sa.Text(), nullable=True))
    op.create_index("ix_jobs_shared", "jobs", ["id"], postgresql_where=SHARED, postgresql_concurrently=True)
    op.create_check_constraint(op.f("ck_jobs_state_known"), "jobs", STATES, postgresql_not_valid=True)
    op.execute("ALTER TABLE jobs VALIDATE CONSTRAINT ck_jobs_state_known")
    study = op.f("fk_jobs_study_id_studies")
    op.create_foreign_key(study, "jobs", "studies", ["study_id"], ["id"], postgresql_not_valid=True)
    op.execute("ALTER TABLE jobs VALIDATE CONSTRAINT fk_jobs_study_id_studies")


def downgrade() -> None:
    op.drop_constraint(op.f("fk_jobs_study_id_studies"), "jobs", type_="foreignkey")
    op.drop_constraint(op.f("ck_jobs_state_known"), "jobs", type_="check")
    op.drop_index("ix_jobs_shared", table_name="jobs")
    op.drop_column("jobs", "shared_with")
    op.drop_table("shares")
