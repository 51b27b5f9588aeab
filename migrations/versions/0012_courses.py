"""several courses in one lab"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

DEFAULT = sa.text("'00000000-0000-7000-8000-000000000001'")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")
OF_A_COURSE = {"jobs": True, "studies": True, "assignments": False, "lab_hours": False}
"""Tables, and whether a row may be of no course."""
EVERYBODY = """
INSERT INTO course_members (user_id, course_id, role)
SELECT id, '00000000-0000-7000-8000-000000000001', CASE role WHEN 'student' THEN 'student' ELSE 'instructor' END
FROM users
ON CONFLICT DO NOTHING
"""
JOIN_ONLY_COURSE = """
CREATE FUNCTION join_only_course() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO course_members (user_id, course_id, role)
    SELECT NEW.id, min(id::text)::uuid, CASE NEW.role WHEN 'student' THEN 'student' ELSE 'instructor' END
    FROM courses WHERE archived_at IS NULL HAVING count(*) = 1;
    RETURN NULL;
END
$$
"""
FOLLOW_ROLE = """
CREATE FUNCTION follow_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.role = 'student' THEN
        UPDATE course_members SET role = 'student' WHERE user_id = NEW.id;
    ELSE
        UPDATE course_members SET role = 'instructor'
        WHERE user_id = NEW.id AND course_id = (
            SELECT min(id::text)::uuid FROM courses WHERE archived_at IS NULL HAVING count(*) = 1
        );
    END IF;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "courses",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("term", sa.Text()),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("archived_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_courses")),
        sa.UniqueConstraint("name", "term", name=op.f("uq_courses_name_term"), postgresql_nulls_not_distinct=True),
    )
    op.execute(
        "INSERT INTO courses (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'Default course') "
        "ON CONFLICT DO NOTHING"
    )
    op.create_table(
        "course_members",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("joined_at", MOMENT, server_default=NOW, nullable=False),
        sa.CheckConstraint("role IN ('student', 'instructor')", name=op.f("ck_course_members_role_known")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_course_members_course_id_courses")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_course_members_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "course_id", name=op.f("pk_course_members")),
    )
    op.create_index("ix_course_members_course_id", "course_members", ["course_id"])
    op.execute(JOIN_ONLY_COURSE)
    op.execute("CREATE TRIGGER join_only_course AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION join_only_course()")
    # After the trigger, so that nobody who is added meanwhile is left out.
    op.execute(EVERYBODY)
    op.execute(FOLLOW_ROLE)
    op.execute(
        "CREATE TRIGGER follow_role AFTER UPDATE OF role ON users FOR EACH ROW "
        "WHEN (OLD.role IS DISTINCT FROM NEW.role) EXECUTE FUNCTION follow_role()"
    )
    for table in ("courses", "course_members"):
        op.execute(
            f"CREATE TRIGGER users_changed AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION tell_users_changed()"
        )
    for table, nullable in OF_A_COURSE.items():
        # A constant default fills the rows that are there without writing them.
        op.add_column(table, sa.Column("course_id", sa.Uuid(), server_default=DEFAULT, nullable=nullable))
        key = op.f(f"fk_{table}_course_id_courses")
        op.create_foreign_key(key, table, "courses", ["course_id"], ["id"], postgresql_not_valid=True)
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {key}")
    op.add_column("banners", sa.Column("course_id", sa.Uuid()))
    op.create_foreign_key(
        op.f("fk_banners_course_id_courses"), "banners", "courses", ["course_id"], ["id"], postgresql_not_valid=True
    )
    op.execute(f"ALTER TABLE banners VALIDATE CONSTRAINT {op.f('fk_banners_course_id_courses')}")
    names = ("uq_assignments_course_id_name", "assignments", ["course_id", "name"])
    op.create_index(*names, unique=True, postgresql_concurrently=True)
    op.drop_constraint("uq_assignments_name", "assignments", type_="unique", if_exists=True)


def downgrade() -> None:
    op.drop_index("uq_assignments_course_id_name", "assignments")
    op.create_unique_constraint("uq_assignments_name", "assignments", ["name"])
    for table in (*OF_A_COURSE, "banners"):
        op.drop_column(table, "course_id")
    op.execute("DROP TRIGGER follow_role ON users")
    op.execute("DROP TRIGGER join_only_course ON users")
    op.execute("DROP FUNCTION follow_role()")
    op.execute("DROP FUNCTION join_only_course()")
    op.drop_table("course_members")
    op.drop_table("courses")
