"""What the tests of several engines share."""

from pathlib import Path

import pytest
from hub_helpers import write_sets


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data set in every form."""
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    return folder
