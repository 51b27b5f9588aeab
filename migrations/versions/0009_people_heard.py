"""changes of people, tokens and sessions notify

Whoever remembers who holds which token must hear of every change of it, also of one made by hand: a trigger of the table
cannot be forgotten. New rows change nothing that anybody remembers.
"""

from collections.abc import Sequence

from alembic import op

revision: str = '0009'
down_revision: str | None = '0006'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ('users', 'tokens', 'browser_sessions')


def upgrade() -> None:
    op.execute(
        "CREATE FUNCTION tell_people_changed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('gpulab_people', ''); RETURN NULL; END $$"
    )
    for table in TABLES:
        op.execute(
            f'CREATE TRIGGER people_changed AFTER UPDATE OR DELETE ON {table} '
            'FOR EACH STATEMENT EXECUTE FUNCTION tell_people_changed()'
        )


def downgrade() -> None:
    for table in TABLES:
        op.execute(f'DROP TRIGGER people_changed ON {table}')
    op.execute('DROP FUNCTION tell_people_changed()')
