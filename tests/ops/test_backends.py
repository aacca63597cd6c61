"""The choice of a form, and its explanation."""

import os
import re
import subprocess
import sys

import pytest
import sapa_ops
import torch
from sapa_ops import backends


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.setattr(backends, '_chosen', {})


@pytest.fixture
def compiled_available(monkeypatch):
    """A compiled form that runs on everything."""
    monkeypatch.setitem(backends._FORMS, 'compiled', lambda tensor: None)


def test_eager_runs_where_nothing_is_compiled_and_says_why(monkeypatch):
    monkeypatch.setitem(backends._FORMS, 'compiled', lambda tensor: 'no library')
    report = sapa_ops.backend_for(torch.zeros(1))
    assert report.name == 'eager'
    assert report.unavailable == {'compiled': 'no library'}
    assert str(report) == 'eager; not compiled: no library'
    with (
        sapa_ops.use_backend('compiled'),
        pytest.raises(RuntimeError, match="'compiled'.*no library"),
    ):
        sapa_ops.window_similarity(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1), 3)


def test_compiled_is_preferred(compiled_available):
    report = sapa_ops.backend_for(torch.zeros(1))
    assert report.name == 'compiled'
    assert 'compiled is preferred' in report.unavailable['eager']


def test_forcing_nests_and_ends(compiled_available):
    tensor = torch.zeros(1)
    with sapa_ops.use_backend('eager'):
        assert "use_backend('eager')" in sapa_ops.backend_for(tensor).unavailable['compiled']
        with sapa_ops.use_backend('compiled'):
            assert sapa_ops.backend_for(tensor).name == 'compiled'
        assert sapa_ops.backend_for(tensor).name == 'eager'
    assert sapa_ops.backend_for(tensor).name == 'compiled'


def test_contexts_of_two_threads(compiled_available):
    """They may end in the order in which they began; neither outlasts its thread."""
    tensor = torch.zeros(1)
    first, second = sapa_ops.use_backend('eager'), sapa_ops.use_backend('compiled')
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert "use_backend('compiled')" in sapa_ops.backend_for(tensor).unavailable['eager']
    second.__exit__(None, None, None)
    assert 'compiled is preferred' in sapa_ops.backend_for(tensor).unavailable['eager']


def test_a_context_that_opens_during_the_choice(compiled_available, monkeypatch):
    """It is not remembered as the choice without one."""
    tensor = torch.zeros(1)

    def while_another_thread_enters(tensor):
        context.__enter__()

    context = sapa_ops.use_backend('eager')
    monkeypatch.setitem(backends._FORMS, 'compiled', while_another_thread_enters)
    backends.choose(tensor)
    context.__exit__(None, None, None)
    assert backends.choose(tensor) == 'compiled'


@pytest.mark.parametrize('fullgraph', [False, True])
def test_within_a_compiled_function(fullgraph, compiled_available):
    """It is not dropped from the graph: torch.compile leaves the graph, or raises."""

    def function(tensor):
        with sapa_ops.use_backend('eager'):
            return tensor + (sapa_ops.backend_for(tensor).name == 'eager')

    torch._dynamo.reset()
    optimised = torch.compile(function, backend='eager', fullgraph=fullgraph)
    if fullgraph:
        with pytest.raises(torch._dynamo.exc.Unsupported):
            optimised(torch.zeros(1))
    else:
        assert optimised(torch.zeros(1)) == 1


@pytest.mark.parametrize('name', ['reference', 'cuda', None])
def test_unknown_form_is_refused(name):
    with (
        pytest.raises(ValueError, match='must be one of compiled, eager'),
        sapa_ops.use_backend(name),
    ):
        pass


@pytest.mark.parametrize('content', [None, 'no library'])
def test_a_library_that_cannot_be_loaded_leaves_the_eager_form(content, tmp_path):
    library = tmp_path / 'sapa_ops.so'
    if content is not None:
        library.write_text(content)
    script = (
        'import sapa_ops, torch\n'
        'print(sapa_ops.backend_for(torch.zeros(1)))\n'
        'operator = torch.compile(sapa_ops.window_similarity, backend="eager", fullgraph=True)\n'
        'print(operator(torch.ones(1, 2, 2, 2), torch.ones(1, 2, 1, 1), 1))'
    )
    result = subprocess.run(
        [sys.executable, '-c', script],
        env={**os.environ, 'SAPA_OPS_LIBRARY': str(library)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    report, values = result.stdout.split('\n', 1)
    assert re.match(f'eager; not compiled: {library} cannot be loaded|.* it needs torch', report)
    assert values.count('2.') == 4
