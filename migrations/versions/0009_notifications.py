"""banners, and notifications by mail and webhook"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("users", sa.Column("time_zone", sa.Text()))
    op.create_table(
        "banners",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("starts_at", MOMENT),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_banners_starts_before_its_end")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_banners")),
    )
    op.create_table(
        "notification_channels",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("webhook_url", sa.Text()),
        sa.Column("next_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("last_error_at", MOMENT),
        sa.Column("last_sent_at", MOMENT),
        sa.Column("given_up", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "(channel = 'webhook') = (webhook_url IS NOT NULL)", name=op.f("ck_notification_channels_webhook_has_url")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notification_channels_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "channel", name=op.f("pk_notification_channels")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("assignment_id", sa.Uuid()),
        sa.Column("node", sa.Text()),
        sa.Column("due_at", MOMENT),
        sa.Column("once", sa.Text()),
        sa.Column("at", MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["user_id", "channel"],
            ["notification_channels.user_id", "notification_channels.channel"],
            name=op.f("fk_notifications_user_id_channel_notification_channels"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_notifications_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"],
            ["assignments.id"],
            name=op.f("fk_notifications_assignment_id_assignments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("user_id", "channel", "once", name=op.f("uq_notifications_user_id_channel_once")),
    )
    unsent, of_jobs = sa.text("sent_at IS NULL"), sa.text("job_id IS NOT NULL")
    op.create_index(
        "ix_notifications_unsent", "notifications", ["user_id", "channel", "id"], postgresql_where=unsent
    )
    op.create_index("ix_notifications_job_id", "notifications", ["job_id"], postgresql_where=of_jobs)


def downgrade() -> None:
    op.drop_table("notifications")
    op.drop_table("notification_channels")
    op.drop_table("banners")
    op.drop_column("users", "time_zone")
