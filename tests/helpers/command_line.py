"""The command line, as a test calls it."""

from medsynth.cli import app


def run(*words):
    """The exit code of `medsynth WORDS...`, in this process."""
    return app.main([str(word) for word in words])
