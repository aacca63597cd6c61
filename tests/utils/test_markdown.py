"""Tables in Markdown."""

import pytest

from sapa_mm.utils.markdown import markdown_table


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
