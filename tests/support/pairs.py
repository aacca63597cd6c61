"""What the quick tier takes: pairs of values, or each value once; few random examples."""

import itertools

import pytest

# For hypothesis: how many examples each tier tries.
in_both_tiers = pytest.mark.parametrize(
    'examples', [25, pytest.param(250, marks=pytest.mark.extended)]
)


def pairs(**values):
    """Choose combinations so that any two values of different names meet in at least one of them.

    Args:
        **values (Iterable): For each name its values, of any type.

    Returns:
        list[dict]: The combinations, each with one value a name; the same ones in every call.
    """
    values = {name: list(options) for name, options in values.items()}
    return [
        {name: values[name][index] for name, index in zip(values, row, strict=True)}
        for row in _rows([len(options) for options in values.values()])
    ]


def parametrize_pairs(ids=None, product=True, **values):
    """Parametrize a test with `pairs` in the quick tier, with the rest of the product extended.

    Args:
        ids (Callable, optional): The name of a value, as in pytest. Defaults to pytest's own.
        product (bool): Whether the rest is tested. Defaults to True.
        **values (Iterable): For each argument its values. A name may hold several arguments, as
            ``kind__options`` does: then its values are tuples.

    Returns:
        pytest.MarkDecorator: For the test.
    """
    return _parametrize(_rows, ids, values, product)


def parametrize_each(ids=None, **values):
    """Like `parametrize_pairs`, but the quick tier has each value at least once, not each pair."""
    return _parametrize(_turns, ids, values)


def _parametrize(choose, ids, values, product=True):
    values = {name: list(options) for name, options in values.items()}
    arguments = {name: name.split('__') for name in values}
    quick = set(choose([len(options) for options in values.values()]))

    def case(row):
        chosen = [
            (options[index],) if len(arguments[name]) == 1 else options[index]
            for (name, options), index in zip(values.items(), row, strict=True)
        ]
        marks = () if row in quick else pytest.mark.extended
        return pytest.param(*itertools.chain(*chosen), marks=marks)

    rows = itertools.product(*(range(len(options)) for options in values.values()))
    cases = [case(row) for row in rows if product or row in quick]
    return pytest.mark.parametrize(tuple(itertools.chain(*arguments.values())), cases, ids=ids)


def _turns(sizes):
    """The values of each column in turn; the order shifts, so that equal columns differ."""
    return [
        tuple((row + row // size * column) % size for column, size in enumerate(sizes))
        for row in range(max(sizes))
    ]


def _rows(sizes):
    """Greedily: each row begins with the first pair that is missing, and adds what covers most."""
    columns = range(len(sizes))
    if len(sizes) == 1:
        return [(index,) for index in range(sizes[0])]
    missing = {
        ((a, i), (b, j)): None
        for a, b in itertools.combinations(columns, 2)
        for i in range(sizes[a])
        for j in range(sizes[b])
    }
    rows = []
    while missing:
        row = dict(next(iter(missing)))
        for column in columns:
            if column not in row:
                row[column] = max(
                    range(sizes[column]),
                    key=lambda index, column=column: sum(
                        tuple(sorted(((column, index), cell))) in missing for cell in row.items()
                    ),
                )
        for pair in itertools.combinations(sorted(row.items()), 2):
            missing.pop(pair, None)
        rows.append(tuple(row[column] for column in columns))
    return rows
