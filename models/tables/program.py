"""Programs of users: files named by the SHA-256 of their content. The files themselves lie in the object store."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.tables.base import Base

RAN_BY = ("script", "notebook", "program-check")
"""The experiments whose spec names a program in its field `program`."""


class Program(Base):
    """Stored once for all users, and never changed."""

    __tablename__ = "programs"
    __table_args__ = (CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_hex"),)

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    """Of all files together."""
    file_count: Mapped[int]
    manifest: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """`path`, `size_bytes`, `sha256` and `offset` of each file, sorted by path; the offset is in the stored tar."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ProgramUpload(Base):
    """That a user sent a program. Sending it again moves it to the top of their list."""

    __tablename__ = "program_uploads"
    __table_args__ = (
        Index("uq_program_uploads_user_id_sha256", "user_id", "sha256", unique=True),
        Index("ix_program_uploads_user_id_id", "user_id", "id"),
        Index("ix_program_uploads_sha256", "sha256"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    sha256: Mapped[str] = mapped_column(ForeignKey("programs.sha256"))
    name: Mapped[str | None]
    """Of its folder, script or notebook."""
    git_commit: Mapped[str | None]
    git_dirty: Mapped[bool | None]
    """Whether the folder had changes that the commit lacks."""
    uploaded_at: Mapped[datetime] = mapped_column(server_default=func.now())


def store_key(sha256: str) -> str:
    """Where the object store has a program's files, as one tar."""
    return f"programs/{sha256}.tar"
