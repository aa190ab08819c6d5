"""One more file in a package, for as long as a test runs."""

import sys
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def added(registry, name, text, folder):
    """`text` as NAME.py in `folder`, which only now belongs to the registry's package."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(text)
    package = import_module(registry.package)
    package.__path__.append(str(folder))
    registry.discover()
    try:
        yield
    finally:
        package.__path__.remove(str(folder))
        sys.modules.pop(f"{registry.package}.{name}", None)
        registry.discover()
