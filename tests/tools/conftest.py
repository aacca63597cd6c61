"""What the tests of the tools share."""

import pytest

from ..support.run_tool import call_tool


@pytest.fixture
def error_of(monkeypatch, capsys, tmp_path):
    """Run a tool in this process and return the one line that it complains with."""
    monkeypatch.chdir(tmp_path)

    def run(tool, *args):
        assert call_tool(tool, *args) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run
