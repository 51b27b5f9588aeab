"""The lab's end of `gpulab up --share`: the one port by which workers of other machines come in.

It speaks TLS, and asks for the secret of the join line or the token of a node. Behind it are PostgreSQL, under a role
with a worker's rights, Redis, and the object store.
"""
