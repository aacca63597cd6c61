"""Fixtures of the tools' tests."""

import pytest

from ..support.run_tool import call_tool


@pytest.fixture
def error_of(monkeypatch, capsys, tmp_path):
    """Run a tool in this process and return its one-line error message."""
    monkeypatch.chdir(tmp_path)

    def run(tool, *args):
        assert call_tool(tool, *args) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run
