"""Messages of one line."""

from sapa_mm.utils.messages import first_of, one_line


def test_one_line():
    assert one_line(ValueError('\nfirst\nsecond')) == 'ValueError: first'
    assert one_line(AssertionError()) == 'AssertionError'


def test_first_of():
    assert first_of([1, 2, 3]) == '1, 2, 3'
    assert first_of('abcd', 2) == 'a, b, ...'
