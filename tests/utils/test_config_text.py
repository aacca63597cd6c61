"""A config's text is read as data: literals and dict(...), and nothing is run."""

import pytest

from sapa_mm.utils.config_text import parse_config

TEXT = """
a = 1
b = dict(
    c=(1, -2.5, inf, -inf),
    type='SapaD', none=None, on=True)
c = dict({'a b': [dict(x=()), {1: 'one'}]})
d = [dict(type=torch.nn.GELU)]
"""


def test_what_mmengine_writes():
    inf = float('inf')
    expected = {
        'a': 1,
        'b': {'c': (1, -2.5, inf, -inf), 'type': 'SapaD', 'none': None, 'on': True},
        'c': {'a b': [{'x': ()}, {1: 'one'}]},
        'd': [{'type': 'torch.nn.GELU'}],
    }
    assert parse_config(TEXT) == expected


def test_a_config_of_mmengine():
    config = pytest.importorskip('mmengine.config')
    settings = {'a': {'b c': [{'d': {'e-f': (1, [2.5])}}, 'g'], 'h': {}}, 'i': ["it's", None, ()]}
    assert parse_config(config.Config(settings).pretty_text) == settings


@pytest.mark.parametrize(
    'value',
    [
        'open("ran", "w")',
        '__import__("os")',
        'dict.fromkeys("ab")',
        'dict(**{"a": 1})',
        'dict([("a", 1)])',
        'dict({"a": open("ran", "w")})',
        '{**{}}',
        '[*()]',
        '{open("ran", "w"): 1}',
        '{[]: 1}',
        '().__class__',
        '().a.b',
        'open("ran", "w").a.b',
        '__builtins__',
        'type',
        'b',
        '[x for x in (1,)]',
        'lambda: 1',
        '(x := 1)',
        'f"{1}"',
        '"%s" % 1',
        '[1] * 9',
        '-"a"',
        '-True if 1 else 2',
        '--1',
        'not 1',
        '1 < 2',
        'b"bytes"',
        '...',
        '1j',
        'a[0]',
        '\x00',
        '[' * 10**5 + ']' * 10**5,
        '-' * 10**5 + '1',
        'a' + '.a' * 10**5,
        'dict(a=' * 150 + '1',
        '<function f at 0x7f>',
        '9' * 10**5,
    ],
    ids=lambda value: value[:30],
)
def test_anything_else_is_refused(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='it is not the text of a config: |line 2 is neither'):
        parse_config(f'b = 1\na = {value}')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'text',
    ['import os', 'a.b = 1', 'a = b = 1', 'a, b = 1, 2', 'a: int = 1', 'a += 1', 'open("x")'],
)
def test_statements(text):
    with pytest.raises(ValueError, match='line 1 is not an assignment to a name'):
        parse_config(text, keys=())


@pytest.mark.parametrize('text', [None, 3, {'a': 1}])
def test_no_text(text):
    with pytest.raises(ValueError, match='it is not the text of a config: TypeError'):
        parse_config(text)


def test_only_some_keys():
    assert parse_config('a = open("x")\nb = 1', keys=('b', 'c')) == {'b': 1}
