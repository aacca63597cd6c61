"""Messages of one line, and tables in Markdown."""

import pytest

from sapa_mm.utils.text import first_of, markdown_table, one_line


def test_a_table():
    rows = [('SAPA-D', 44.68), ('a|b\nc', '')]
    assert markdown_table(['upsampler', 'mIoU'], rows, align='lr').splitlines() == [
        '| upsampler | mIoU |',
        '|---|---:|',
        '| SAPA-D | 44.68 |',
        '| a\\|b c |  |',
    ]


def test_a_row_of_another_length():
    with pytest.raises(ValueError, match='row has 1 cells, the header 2'):
        markdown_table(['a', 'b'], [('only',)])


def test_one_line():
    assert one_line(ValueError('\nfirst\nsecond')) == 'ValueError: first'
    assert one_line(AssertionError()) == 'AssertionError'


def test_first_of():
    assert first_of([1, 2, 3]) == '1, 2, 3'
    assert first_of('abcd', 2) == 'a, b, ...'
