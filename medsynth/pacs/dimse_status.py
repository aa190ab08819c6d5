"""What a server's status about one object means for us."""

from __future__ import annotations

from dataclasses import dataclass

from medsynth.pacs.text import plain

STORED, FAILED, RETRY = "stored", "failed", "retry"


@dataclass(frozen=True)
class Answer:
    """The server's word on one instance: a verdict, its status as given, and why."""

    uid: str
    verdict: str
    status: str
    note: str = ""


# PS3.4 table B.2-1 and PS3.7 annex C.
WARNINGS = {
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class",
    0x0001: "requested optional attributes are not supported",
    0x0107: "attribute list error",
    0x0116: "attribute value out of range",
    # The object is there already; whether it really is, verification asks.
    0x0111: "duplicate SOP instance: the server has this UID already",
}
FAILURES = {
    0x0110: "processing failure",
    0x0117: "invalid object instance",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
}


def judge(uid: str, status: int, *, comment: str = "") -> Answer:
    """The answer that a C-STORE status or a STOW-RS failure reason stands for."""
    text, comment = f"0x{status:04X}", plain(comment)
    verdict, meaning = _meaning(status)
    if comment:
        meaning = f"{meaning} ({comment})" if meaning else comment
    return Answer(uid, verdict, text, meaning)


def _meaning(status: int) -> tuple[str, str]:
    if status == 0x0000:
        return STORED, ""
    if status in WARNINGS or status >> 12 == 0xB:
        return STORED, WARNINGS.get(status, "warning")
    if status >> 8 == 0xA7:
        return RETRY, "the server is out of resources"
    if status >> 8 == 0xA9:
        return FAILED, "data set does not match SOP class"
    if status >> 12 == 0xC:
        return FAILED, "the server cannot understand the object"
    return FAILED, FAILURES.get(status, "the server refuses the object")
