"""The tokens that admit nodes. The token itself is shown once and never stored."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Select, Text, exists, func, insert, literal, or_, select, update

from models.composed import statement
from models.statements.transitions import text_of
from models.tables.node import Node, NodeEvent, NodeToken
from models.times import ago

JOINING = 0x67706C6A
"""Key of the advisory lock under which machines take names."""


@statement
def good(node: str, digest: bytes) -> Select[UUID]:
    """The id of the node's token with that SHA-256; no row for a wrong, revoked or another node's one."""
    return select(NodeToken.id).where(
        NodeToken.node == node, NodeToken.digest == digest, NodeToken.revoked_at.is_(None)
    )


@statement
def one_at_a_time() -> Select[Any]:
    """Until the transaction ends, no other machine takes a name by joining."""
    return select(func.pg_advisory_xact_lock(JOINING))


@statement
def is_taken(node: str, *, silence_seconds: float) -> Select[bool]:
    """Whether another machine has the name: one with a token, or one that was heard of lately."""
    has_token = exists().where(NodeToken.node == node, NodeToken.revoked_at.is_(None))
    lives = exists().where(Node.name == node, Node.stopped_at.is_(None), Node.heartbeat_at > ago(silence_seconds))
    return select(or_(has_token, lives))


@statement
def revoked_among(ids: Sequence[UUID]) -> Select[UUID]:
    """Those of the tokens that were revoked."""
    return select(NodeToken.id).where(NodeToken.id.in_(ids), NodeToken.revoked_at.is_not(None))


@statement
def add(node: str, *, digest: bytes, actor: str) -> Select[Any]:
    """A token for a node, which need not have joined yet. Others that it has stay good until they are revoked."""
    made = (
        insert(NodeToken)
        .values(node=node, digest=digest, created_by=actor)
        .returning(NodeToken.id, NodeToken.node, NodeToken.created_at)
        .cte("made")
    )
    return _announced(made, "node.token_made", actor)


@statement
def revoke(node: str, *, actor: str) -> Select[Any]:
    """Every token of the node stops working; a row for each."""
    revoked = (
        update(NodeToken)
        .where(NodeToken.node == node, NodeToken.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(NodeToken.id, NodeToken.node, NodeToken.created_at)
        .cte("revoked")
    )
    return _announced(revoked, "node.token_revoked", actor)


def _announced(tokens: CTE, kind: str, actor: str) -> Select[Any]:
    event = (
        insert(NodeEvent)
        .from_select(
            ["node", "type", "actor", "message"],
            select(tokens.c.node, literal(kind, Text), text_of(actor), literal("", Text)),
        )
        .returning(NodeEvent.id)
        .cte("event")
    )
    return select(tokens.c.id, tokens.c.node, tokens.c.created_at).add_cte(event)
