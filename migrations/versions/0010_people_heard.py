"""changes of people, tokens and sessions notify; lists by experiment and by actor have an index

Whoever remembers who holds which token must hear of every change of it, also of one made by hand: a trigger of the table
cannot be forgotten. New rows change nothing that anybody remembers.
"""

from collections.abc import Sequence

from alembic import op

revision: str = '0010'
down_revision: str | None = '0009'
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ('users', 'tokens', 'browser_sessions')


def upgrade() -> None:
    op.create_index('ix_jobs_experiment_id', 'jobs', ['experiment', 'id'], postgresql_concurrently=True)
    op.create_index('ix_audit_events_actor_id', 'audit_events', ['actor', 'id'], postgresql_concurrently=True)
    op.drop_index('ix_audit_events_actor_id_id', table_name='audit_events', postgresql_concurrently=True, if_exists=True)
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
    op.create_index('ix_audit_events_actor_id_id', 'audit_events', ['actor_id', 'id'], postgresql_concurrently=True)
    op.drop_index('ix_audit_events_actor_id', table_name='audit_events', postgresql_concurrently=True, if_exists=True)
    op.drop_index('ix_jobs_experiment_id', table_name='jobs', postgresql_concurrently=True, if_exists=True)
    for table in TABLES:
        op.execute(f'DROP TRIGGER people_changed ON {table}')
    op.execute('DROP FUNCTION tell_people_changed()')
