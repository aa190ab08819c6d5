"""Damaged files: whatever a parser stumbles over becomes one line that names the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path, *, otherwise: str = "is damaged") -> Iterator[None]:
    """Turn every error inside into `ValueError(f"{path} {otherwise} (...)")`.

    Errors that already name the file pass unchanged, and so do a lack of memory or of a decoder.
    Parsers warn about every odd value; those that matter here are judged where they are used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (MemoryError, ImportError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except (
            BaseException
        ) as error:  # pydicom raises anything; Rust decoders panic past Exception
            if isinstance(error, ValueError) and str(path) in str(error):
                raise
            raise ValueError(f"{path} {otherwise} ({one_line(error)})") from error


def one_line(words: object) -> str:
    """What an error says, without its line breaks."""
    return " ".join(str(words).split())
