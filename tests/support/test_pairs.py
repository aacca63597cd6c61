import itertools

import pytest

from .pairs import pairs, parametrize_each, parametrize_pairs


@pytest.mark.parametrize(
    ('sizes', 'count'),
    [((3,), 3), ((2, 3), 6), ((4, 1, 3), 12), ((2, 2, 2), 4), ((7, 7, 7), 53), ((9, 3, 4, 2), 36)],
)
def test_any_two_values_meet(sizes, count):
    values = {f'argument{column}': range(size) for column, size in enumerate(sizes)}
    chosen = pairs(**values)
    assert chosen == pairs(**values)
    for first, second in itertools.combinations(values, 2):
        met = {(row[first], row[second]) for row in chosen}
        assert met == set(itertools.product(values[first], values[second]))
    assert len(chosen) <= count


def test_the_rest_of_the_product_is_extended():
    cases = [('sapa_i', {}), ('sapa_b', {'groups': 2})]
    mark = parametrize_pairs(kind__options=cases, form=['eager', 'compiled'], size=[1, 2])
    names, params = mark.args[0], list(mark.args[1])
    assert names == ('kind', 'options', 'form', 'size')
    assert len(params) == 8
    quick = [param.values for param in params if not param.marks]
    assert len(quick) == len(pairs(case=cases, form=[0, 1], size=[1, 2])) == 4
    assert all(param.values[:2] in cases for param in params)


def test_each_value_once():
    mark = parametrize_each(a=range(3), b=range(2), c=range(2), ids=str)
    quick = [param.values for param in mark.args[1] if not param.marks]
    assert quick == [(0, 0, 0), (1, 1, 1), (2, 1, 0)]
    assert len(mark.args[1]) == 12
    assert mark.kwargs == {'ids': str}
