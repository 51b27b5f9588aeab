"""what each GPU did, minute by minute, and where waiting jobs are expected to start"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "gpu_minutes",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gpu_uuid", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("utilization_percent", sa.Double(), nullable=True),
        sa.Column("power_watts", sa.Double(), nullable=True),
        sa.Column("memory_used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("temperature_celsius", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("minute", "gpu_uuid", name=op.f("pk_gpu_minutes")),
    )
    op.add_column("jobs", sa.Column("estimated_node", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("estimated_gpu_uuids", postgresql.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "estimated_gpu_uuids")
    op.drop_column("jobs", "estimated_node")
    op.drop_table("gpu_minutes")
