"""What every object of one export shares: its identity, its time, its label."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime

# The root of all UIDs that are derived here. Changing it changes every UID.
NAMESPACE = uuid.UUID("6f1d2a0e-8c55-5d4b-9a37-2f0c6d1b7e48")


def _now() -> datetime:
    return datetime.now().replace(microsecond=0)


@dataclass(frozen=True)
class ExportJob:
    """One export. Its UIDs are fixed: writing it again, or sending it again, gives the same objects.

    `identifier` is any text that no other job has (a UUID, a hash of the resolved request).
    `created` is written into the objects and is therefore part of what the UIDs are derived from:
    content under a UID must never change, and the same request run again tomorrow is another job.
    `title` follows the word SYNTHETIC in the series description. `lossy_source` says that the
    reference went through lossy compression its headers do not tell of (a JPEG file).
    """

    identifier: str
    created: datetime = field(default_factory=_now)
    title: str = ""
    lossy_source: bool = False

    def __post_init__(self) -> None:
        if not self.identifier.strip():
            raise ValueError(
                f"a job needs a non-empty identifier, got {self.identifier!r}; use uuid.uuid4().hex"
            )

    @property
    def _seed(self) -> str:
        return f"{self.identifier}|{self.created.isoformat()}"

    @property
    def short_id(self) -> str:
        """Twelve hexadecimal digits that stand for the job in IDs which people read."""
        return hashlib.sha256(self._seed.encode()).hexdigest()[:12].upper()

    def uid(self, *role: object) -> str:
        """The UID of this job's object in the given role, e.g. `job.uid("image", 12)`.

        A UUID-derived UID (PS3.5 B.2: 2.25 and the UUID as a decimal number), so that no
        organization's root is borrowed.
        """
        name = "|".join([self._seed, *map(str, role)])
        return f"2.25.{uuid.uuid5(NAMESPACE, name).int}"

    def remapped(self, uid: str) -> str:
        """What stands for the reference's `uid` once the patient is synthetic.

        The same UID always gives the same replacement within a job and another one in the next
        (PS3.15 table E.1-1, action U), so that the objects still refer to one another while
        nothing leads back to the reference without knowing the job.
        """
        return self.uid("source", uid)
