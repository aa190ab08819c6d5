"""Whole commands, servers and networks take long: everything here is for the slow lane."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not even imported in the fast lane."""
    slow = collection_path.suffix == ".py" and "not slow" in config.option.markexpr
    return True if slow else None


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory):
    """A request and the weights of a small network, for the bundle's configs."""
    from bundle_configs import fill

    return fill(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def bundle_expected(bundle_folder):
    """What the library makes of that request."""
    from bundle_configs import made_by_library

    return made_by_library(bundle_folder)


@pytest.fixture(scope="module")
def chest_folder(tmp_path_factory):
    """References as files and as DICOM, and the weights of a small network."""
    from pipeline_chest_runs import fill

    return fill(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def chest_out(chest_folder):
    """OUT of the usual request."""
    from pipeline_chest_runs import run

    run(chest_folder, chest_folder / "out")
    return chest_folder / "out"
