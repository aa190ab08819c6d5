import pytest
from made_studies import make_study


@pytest.fixture
def study(tmp_path):
    """A reading study of twelve made-up pictures that nobody has read yet."""
    make_study(tmp_path / "study", items=12)
    return tmp_path / "study"
