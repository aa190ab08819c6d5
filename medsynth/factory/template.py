"""A commented plan of each domain, as `medsynth dataset init` writes it."""

from __future__ import annotations

from importlib.resources import files

from medsynth import domains


def template(domain: str) -> str:
    """The commented plan of a domain.

    Raises:
        ValueError: no such domain, or it has no plan.
    """
    name = domains.get(domain).name
    file = files("medsynth.factory").joinpath("plans", f"{name}.yaml")
    if not file.is_file():
        raise ValueError(f"there is no plan for {name} yet; begin with that of another domain")
    return file.read_text(encoding="utf-8")
