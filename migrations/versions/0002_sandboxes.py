"""what a node cannot run, and the failure of a program that took too much"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

CAUSES = (
    "out_of_memory", "diverged", "error", "time_limit", "lost", "gpu_fault", "cannot_fit", "idle", "limit_exceeded",
)  # fmt: skip


def upgrade() -> None:
    op.add_column(
        "nodes",
        sa.Column(
            "refused_experiments",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    _know_causes(CAUSES)


def downgrade() -> None:
    op.execute("UPDATE jobs SET cause = 'error' WHERE cause = 'limit_exceeded'")
    _know_causes(CAUSES[:-1])
    op.drop_column("nodes", "refused_experiments")


def _know_causes(causes: Sequence[str]) -> None:
    names = ", ".join(f"'{cause}'" for cause in causes)
    op.execute("ALTER TABLE jobs DROP CONSTRAINT IF EXISTS ck_jobs_cause_known")
    op.execute(f"ALTER TABLE jobs ADD CONSTRAINT ck_jobs_cause_known CHECK (cause IN ({names})) NOT VALID")
    op.execute("ALTER TABLE jobs VALIDATE CONSTRAINT ck_jobs_cause_known")
