"""Words that name files, for pages that are passed on: folders and files may be called after patients."""

from __future__ import annotations

import re

FOLDERS = r"(?<![\w.])(?:[A-Za-z]:)?[/\\\\](?:[^\s/\\\\]+[/\\\\])+"


def without_folders(words: str) -> str:
    """Paths by their last name."""
    return re.sub(FOLDERS, ".../", words)


def without_files(words: str) -> str:
    """Paths not at all, so that what is said of many files can be counted as one."""
    return re.sub(FOLDERS + r"[^\s:;,]*", "a file", words)
