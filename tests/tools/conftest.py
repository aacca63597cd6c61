"""What the tests of the tools share."""

import runpy

import pytest

from ..support.run_tool import TOOLS


@pytest.fixture
def error_of(monkeypatch, capsys, tmp_path):
    """Run a tool in this process and return the one line that it complains with."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.chdir(tmp_path)

    def run(tool, *args):
        monkeypatch.setattr('sys.argv', [tool, *map(str, args)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOLS / f'{tool}.py'), run_name='__main__')
        assert end.value.code == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run
