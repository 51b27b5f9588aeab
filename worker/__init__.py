"""The node's agent: a Celery worker that supervises job processes, ships their records and samples the machine."""
