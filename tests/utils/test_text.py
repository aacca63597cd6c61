"""Messages of one line, and tables in Markdown."""

import pytest

from sapa_mm.utils.text import (
    fill_page,
    first_of,
    markdown_table,
    markdown_text,
    one_line,
    printable,
)


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


def test_markup_in_a_name_is_text():
    assert printable('a\tb\x1b[2J\nc\u202ed\udcff é 日\u3000本') == (
        r'a\tb\x1b[2J\nc\u202ed\udcff é 日' + '\u3000本'
    )
    name = '<script>x</script> \\| ![a](http://b) \x1b[2J\n# c'
    escaped = r'&lt;script>x&lt;/script> \\\| ![a]\(http://b) \x1b[2J # c'
    assert markdown_text(name) == escaped
    assert markdown_table([name], [[name]]).splitlines() == [
        f'| {escaped} |',
        '|---|',
        f'| {escaped} |',
    ]
    assert markdown_text('<ins>**1.5**</ins> [1]') == '<ins>**1.5**</ins> [1]'


def test_markup_in_a_page_is_text():
    models = [dict(name='<script>a</script>', config='"onload="b')]
    page = fill_page(
        'sapa_mm.visualization', 'gallery.html.jinja', image='<b>.jpg', models=models, sections=[]
    )
    assert '<script' not in page
    assert '<b>' not in page
    assert '&lt;script&gt;a&lt;/script&gt;' in page
    assert '&#34;onload=&#34;b' in page
