"""Sentences that the forms of a report share."""

from .report import ReportTable

EXPLANATION = (
    'Best of a backbone in bold, second best underlined. Parameters and multiply-adds (FLOPs) are '
    "computed from the paper's configs: with a sign, what a row adds to the first of its "
    'backbone, else the whole model (of a detector the FLOPs of backbone and neck).'
)
SMALL = (
    'Measured with small models on generated scenes: this shows that the path works. The figures '
    "are not to be compared with the paper's, from which the differences are taken all the same."
)


def describe_runs(table: ReportTable) -> str:
    """Where a table's runs were made, and of how many seeds they are."""
    counts = [len(row.results) for row in table.rows]
    finished = sum(1 for count in counts if count)
    text = f'{finished} of {len(counts)} rows have finished runs'
    if max(counts) > 1:
        text += f', of up to {max(counts)} seeds: mean and standard deviation'
    if table.devices:
        text += f'. Measured on: {"; ".join(table.devices)}'
    if table.problems:
        text += f'. Parameters and FLOPs are not computed: {"; ".join(table.problems)}'
    return text + '.'
