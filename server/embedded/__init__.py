"""A real PostgreSQL 18 and a real Redis as child processes, from wheels: no system service, no root needed.

    postgres = EmbeddedPostgres(folder)         # EmbeddedPostgres(folder, durable=False) in tests: no fsync
    postgres.start()                            # initdb on first use (about a second), then up
    postgres.url                                # postgresql://gpulab@/gpulab?host=<percent-encoded socket folder>
    redis = EmbeddedRedis(folder)
    redis.start()
    redis.url                                   # unix:///<socket>, what redis-py's from_url takes
    redis.broker_url                            # redis+socket:///<socket>, what Celery and kombu take

`REDIS_URL` carries the first form; `broker_url(REDIS_URL)` gives the second. Both classes have `start()`, `stop()`,
`kill()`, `process`, work as context managers, and keep their address across stop and start. Both listen on a Unix
socket in a folder that only the owner can enter, never on a port. Start them from the main thread (see `spawn`).
"""

from server.embedded.place import EmbeddedError
from server.embedded.postgres import EmbeddedPostgres, postgres_binaries
from server.embedded.redis import EmbeddedRedis, broker_url, redis_binary

__all__ = [
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "broker_url",
    "postgres_binaries",
    "redis_binary",
]
