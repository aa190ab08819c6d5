"""Every answer on the disk before it is acknowledged: one SQLite file, nothing is ever overwritten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

metadata = MetaData()


def _numbered(name: str, *columns: Column) -> Table:
    """A table whose rows are numbered in the order in which they came."""
    number = Column("id", Integer, primary_key=True, autoincrement=True)
    return Table(name, metadata, number, *columns)


ANSWERS = _numbered(
    "answers",
    Column("reader", String, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("item", String, nullable=False),
    Column("nonce", String, nullable=False, unique=True),
    Column("answer", String, nullable=False),
    Column("sure", Integer),
    Column("mark_x", Float),
    Column("mark_y", Float),
    Column("reasons", String, nullable=False, default="[]"),
    Column("remark", String, nullable=False, default=""),
    Column("seconds", Float),
    Column("seconds_server", Float),
    Column("window", String, nullable=False, default=""),
    Column("at", String, nullable=False),
    Column("withdrawn", Boolean, nullable=False, default=False),
)
# One answer that counts at each place, whatever a browser sends twice.
Index(
    "one_answer_a_place",
    ANSWERS.c.reader,
    ANSWERS.c.phase,
    ANSWERS.c.position,
    unique=True,
    sqlite_where=ANSWERS.c.withdrawn.is_(False),
)
EVENTS = _numbered(
    "events",
    Column("at", String, nullable=False),
    Column("what", String, nullable=False),
    Column("reader", String),
    Column("data", String, nullable=False, default="{}"),
)
CREATED, OPENED, CLOSED, INTERIM, SIGNED_IN = "created", "opened", "closed", "interim", "signed in"


def now() -> str:
    """UTC to the millisecond, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class AnswerStore:
    """The answers and events of one study.

    Every commit is on the disk when it returns: write-ahead log with `synchronous=FULL`, which calls
    fsync for each (https://sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, path: Path):
        # A connection for each use: no thread ever meets another's.
        self.engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        event.listen(self.engine, "connect", _durable)

    def start(self, design_sha256: str) -> None:
        """Make the tables, and note which design the answers will belong to."""
        metadata.create_all(self.engine)
        self.note(CREATED, data={"design_sha256": design_sha256})

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    def note(self, what: str, *, reader: str | None = None, data: dict[str, Any] | None = None):
        """Write one event down."""
        with self._writing() as connection:
            connection.execute(
                insert(EVENTS).values(
                    at=now(), what=what, reader=reader, data=json.dumps(data or {})
                )
            )

    def events(self, what: str, reader: str | None = None) -> list[dict[str, Any]]:
        """Events of one kind, the oldest first; `data` is parsed."""
        query = select(EVENTS).where(EVENTS.c.what == what).order_by(EVENTS.c.id)
        if reader is not None:
            query = query.where(EVENTS.c.reader == reader)
        with self.engine.connect() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
        return [{**row, "data": json.loads(row["data"])} for row in found]

    def design_sha256(self) -> str:
        """The hash of the design that the study was created with."""
        return str(self.events(CREATED)[0]["data"]["design_sha256"])

    def closed_at(self) -> str | None:
        """When the study was closed; None while it is open."""
        closed = self.events(CLOSED)
        return str(closed[0]["at"]) if closed else None

    def add(self, values: dict[str, Any]) -> bool:
        """Keep an answer. False when the place has one already; the same nonce twice is one answer."""
        try:
            with self._writing() as connection:
                connection.execute(insert(ANSWERS).values(at=now(), withdrawn=False, **values))
        except IntegrityError:
            return self.has(values["nonce"])
        return True

    def has(self, nonce: str) -> bool:
        """Whether this very answer has been kept before."""
        query = select(func.count()).where(ANSWERS.c.nonce == nonce)
        with self.engine.connect() as connection:
            return bool(connection.execute(query).scalar())

    def withdraw(self, reader: str, phase: int, position: int) -> bool:
        """Take the answer at this place back; it stays in the file, marked."""
        place = (
            (ANSWERS.c.reader == reader)
            & (ANSWERS.c.phase == phase)
            & (ANSWERS.c.position == position)
            & ANSWERS.c.withdrawn.is_(False)
        )
        with self._writing() as connection:
            done = connection.execute(update(ANSWERS).where(place).values(withdrawn=True))
            return done.rowcount > 0

    def counts(self, reader: str) -> dict[int, tuple[int, str]]:
        """By phase, the number of answers of a reader and when the last was given."""
        query = (
            select(ANSWERS.c.phase, func.count(), func.max(ANSWERS.c.at))
            .where((ANSWERS.c.reader == reader) & ANSWERS.c.withdrawn.is_(False))
            .group_by(ANSWERS.c.phase)
        )
        with self.engine.connect() as connection:
            return {int(p): (int(n), str(at)) for p, n, at in connection.execute(query)}

    def all(self, *, withdrawn: bool = False) -> list[dict[str, Any]]:
        """Every answer that counts (or every one), in the order in which they were given."""
        query = select(ANSWERS).order_by(ANSWERS.c.id)
        if not withdrawn:
            query = query.where(ANSWERS.c.withdrawn.is_(False))
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=20000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
