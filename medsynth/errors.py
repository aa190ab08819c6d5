"""The three error types that Python does not already have a word for."""


class GeometryError(ValueError):
    """Two images that must share a grid do not, or a mask lies where it cannot act."""


class CheckpointError(ValueError):
    """A weights file is missing, damaged, or belongs to another network."""


class MissingExtra(ImportError):
    """An optional dependency is not installed; the message names the pip command that adds it."""
