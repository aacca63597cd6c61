"""The benchmark on small maps: its measurements are checked, speeds are not."""

import json
import math
import os
import platform
import re
import resource
import sys

import pytest
import sapa_ops
import torch

from sapa_mm.analysis.benchmark import contestants as contestants_module
from sapa_mm.analysis.benchmark.contestants import (
    EMBED_DIMS,
    FORMS,
    GROUPS,
    KINDS,
    LAYOUTS,
    PASSES,
    POINTS,
    Case,
    Contestant,
    Maps,
    Trial,
    Workload,
    list_contestants,
    prepare,
)
from sapa_mm.analysis.benchmark.measure import (
    PAGES,
    affordable_runs,
    call_with_pages,
    measure_memory,
    time_interleaved,
    warm_up,
)
from sapa_mm.analysis.benchmark.report import find_cliffs, format_tables
from sapa_mm.analysis.benchmark.run import BenchmarkSettings, run_benchmark

CHANNELS = 8


def make_case(**changes):
    values = dict(
        size=5,
        dtype='float32',
        layout='contiguous',
        direction='forward',
        channels=CHANNELS,
        batch=1,
        threads=1,
        device='cpu',
        seed=0,
    )
    return Case(**{**values, **changes})


def make_settings(out, **changes):
    values = dict(
        sizes=[5],
        channels=[CHANNELS],
        dtypes=['float32'],
        pages=['fresh'],
        device='cpu',
        repeats=3,
        memory=False,
        threads=[1],
    )
    return BenchmarkSettings(**{**values, **changes}, out=str(out))


def find(results, **wanted):
    (result,) = (r for r in results if all(r[key] == value for key, value in wanted.items()))
    return result


@pytest.fixture(scope='module')
def out(tmp_path_factory):
    return tmp_path_factory.mktemp('benchmark') / 'new' / 'folder'


@pytest.fixture(scope='module')
def report(out):
    """A run of everything except peak memory."""
    return run_benchmark(make_settings(out, kinds=KINDS, forms=FORMS, pages=PAGES))


def test_everything_is_measured(report):
    assert report['notes'] == []
    results = report['results']
    for layout in LAYOUTS:
        for direction in PASSES:
            where = {'size': 5, 'dtype': 'float32', 'layout': layout, 'pass': direction}
            found = [result for result in results if {**result, **where} == result]
            names = [(result['kind'], result['name'], result['form']) for result in found]
            expected = list_contestants(KINDS, FORMS, make_case())
            assert names == [(c.kind, c.name, c.form) for c in expected]
            assert len(names) == 3 + 2 * (2 + 4 + 7)
    for result in results:
        for pages in PAGES:
            assert 0 < result[pages]['min_ms'] <= result[pages]['median_ms']
            assert result[pages]['count'] == 3
            assert result[pages]['spread'] >= 1
        assert result['memory'] is None


def test_ratios_are_quotients_of_medians(report):
    results = report['results']
    for result in results:
        here = {key: result[key] for key in ('size', 'dtype', 'layout', 'pass')}
        bilinear, copy, square = (
            find(results, name=name, **here) for name in ('bilinear', 'copy', 'product')
        )
        for pages in PAGES:
            ratio = result[pages]['median_ms'] / bilinear[pages]['median_ms']
            assert result[pages]['to_bilinear'] == pytest.approx(ratio)
        moving = copy['reused']['median_ms'] * result['bytes_to_move'] / copy['bytes_to_move']
        computing = square['reused']['median_ms'] * result['operations'] / (2 * 512**3)
        assert result['bound_ms'] == pytest.approx(max(moving, computing))
        assert result['bound'] == ('copy' if moving > computing else 'product')
        assert result['reached'] == result['bound_ms'] / result['reused']['median_ms']
    assert {result['reached'] for result in results if result['name'] == 'copy'} == {1}


def test_operations():
    """Those of similarity and assembly, two for each multiply-add, four in a bilinear sample."""
    pixels, case = 10 * 10, make_case()
    counts = {
        'sapa_b': 2 * 25 * (EMBED_DIMS + CHANNELS) * pixels,
        'sapa_d': 2 * 5 * POINTS * (GROUPS * EMBED_DIMS + CHANNELS) * pixels,
    }
    for name, count in counts.items():
        for form in FORMS:
            contestant = Contestant('pipelines', name, form)
            assert prepare(contestant, case, Maps(case)).operations() == count


def count_page_faults():
    """The fewest of filling a map of 40 MB, after it and smaller ones have been freed."""
    counts = []
    for _ in range(6):
        [torch.ones(5 << 20) for _ in range(4)]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(10 << 20)
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(counts)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the settings are of glibc')
def test_memory_is_fresh_or_reused():
    before = dict(os.environ)
    faults = {pages: call_with_pages(pages, 1, count_page_faults) for pages in PAGES}
    assert faults['reused'] < 20
    assert faults['fresh'] >= 10240  # pages of 4 KB
    assert dict(os.environ) == before


def test_files_hold_the_run(report, out):
    assert sorted(path.name for path in out.iterdir()) == ['benchmark.json', 'benchmark.md']
    assert json.loads((out / 'benchmark.json').read_text()) == report
    assert report['device']
    assert report['torch'] == torch.__version__
    assert report['sapa_ops'].startswith(f'{sapa_ops.__version__}, ')
    assert all(load >= 0 for load in report['load_average'])
    assert report['cpu_capability'] == torch.ops.sapa_ops_compiled.cpu_capability()
    page = (out / 'benchmark.md').read_text()
    assert format_tables(report['results']) in page
    assert report['sapa_ops'] in page
    assert report['command'] in page
    assert 'benchmark.png' not in page


def test_axes_vary_one_at_a_time(tmp_path):
    pytest.importorskip('matplotlib')
    settings = make_settings(
        tmp_path, sizes=[5, 7, 3], channels=[8, 4], kinds=['operators'], passes=['forward'],
        layouts=['contiguous'],
    )  # fmt: skip
    results = run_benchmark(settings)['results']
    points = dict.fromkeys((result['size'], result['channels']) for result in results)
    assert list(points) == [(5, 8), (7, 8), (3, 8), (5, 4)]
    page = (tmp_path / 'benchmark.md').read_text()
    (row,) = (line for line in page.splitlines() if line.startswith('| size '))
    assert row.split() == ['|', 'size', '|', '3', '|', '5', '|', '7', '|']
    bilinear = find(results, name='bilinear', size=3)
    cost = 1e6 * bilinear['fresh']['min_ms'] / (6 * 6 * CHANNELS)
    assert re.search(rf'^\| bilinear +\| +{re.escape(f"{cost:.3g}")} \|', page, re.M)
    assert '](benchmark.png)' in page
    assert (tmp_path / 'benchmark.png').read_bytes().startswith(b'\x89PNG\r\n\x1a\n')
    assert not list(tmp_path.glob('*.partial'))


def test_cliffs():
    """Costs are those of a core: threads that halve the time make no cliff."""
    base = dict(kind='baselines', name='bilinear', form=None, dtype='float32', layout='contiguous')
    base |= {'pass': 'forward', 'batch': 1, 'channels': 8, 'values': 1000}

    def result(size, threads, milliseconds):
        return {**base, 'size': size, 'threads': threads, 'reused': {'min_ms': milliseconds}}

    results = [result(8, 1, 1.0), result(16, 1, 1.51), result(4, 1, 1.49), result(8, 2, 0.5)]
    assert find_cliffs(results) == [
        'Cliff: bilinear, float32, contiguous, forward: 1e+03 ns at size 8, 1.51e+03 ns at 16'
    ]


def test_tables_are_printed_and_have_a_row_for_each_contestant(tmp_path, capsys):
    settings = make_settings(tmp_path, kinds=['pipelines'], layouts=['contiguous'], forms=FORMS)
    report = run_benchmark(settings)
    tables = format_tables(report['results'])
    printed = capsys.readouterr().out
    assert tables in printed
    assert 'No picture: it shows cost against size' in printed
    assert not (tmp_path / 'benchmark.png').exists()
    rows = [line for line in tables.splitlines() if line.startswith('| ')]
    assert len(rows) == 2 * (1 + 1 + 4)
    assert len({len(row) for row in rows[:6]}) == 1
    whats = [row.split('|')[1].strip() for row in rows]
    assert whats[:4] == ['what', 'bilinear', 'pipeline sapa_b', 'pipeline sapa_b, eager']


def test_memory_is_measured(tmp_path):
    settings = make_settings(tmp_path, kinds=['pipelines'], layouts=['contiguous'], memory=True)
    for result in run_benchmark(settings)['results']:
        memory = result['memory']
        if result['name'] in ('copy', 'product'):
            assert memory is None
            continue
        assert all(math.isfinite(value) for value in memory.values())
        assert memory['output'] == pytest.approx(CHANNELS * 10 * 10 * 4 / 1e6)
        assert (memory['gradients'] > 0) == (result['pass'] == 'forward+backward')
        known = memory['output'] + memory['gradients'] + memory['weights']
        assert memory['extra'] == pytest.approx(memory['peak'] - known)
        assert memory['extra_percent'] == pytest.approx(100 * memory['extra'] / memory['output'])


@pytest.mark.parametrize('layout', LAYOUTS)
def test_memory_is_that_of_the_run_alone(layout):
    """Bilinear allocates its output and nothing else: 42 MB here."""
    case = make_case(size=160, channels=100, layout=layout)
    memory = measure_memory(Contestant('baselines', 'bilinear'), case)
    assert memory['output'] == pytest.approx(40.96)
    assert memory['peak'] == pytest.approx(memory['output'], abs=4)


def test_memory_of_weights_is_told_apart():
    case = make_case(size=64)
    memory = measure_memory(Contestant('pipelines', 'sapa_d', 'compiled'), case)
    assert memory['weights'] == pytest.approx(4 * 9 * 128 * 128 * 4 / 1e6)
    assert memory['peak'] > memory['output'] + memory['weights'] - 1


def test_a_process_that_dies_is_an_error(capfd):
    with pytest.raises(RuntimeError, match='ended with exit code 1'):
        measure_memory(Contestant('operators', 'no such thing', 'eager'), make_case())


@pytest.mark.parametrize(('name', 'megabytes'), [('sapa_b', 82.9), ('sapa_d', 127.2)])
def test_bytes_to_move(name, megabytes):
    """docs/reference.md, "Cost of one step", for 256×120×120; here for a map of 12×12."""
    case = make_case(size=12, channels=256)
    trial = prepare(Contestant('pipelines', name, 'compiled'), case, Maps(case))
    assert trial.bytes_to_move(trial()) * 100 / 1e6 == pytest.approx(megabytes, abs=0.1)


def test_bytes_to_move_of_a_copy_and_of_gradients():
    case = make_case(direction='forward+backward')
    maps, high, low = Maps(case), CHANNELS * 10 * 10 * 4, CHANNELS * 5 * 5 * 4
    copy, bilinear = (
        prepare(Contestant('baselines', name), case, maps) for name in ('copy', 'bilinear')
    )
    assert copy.bytes_to_move(copy()) == 2 * high
    assert bilinear.bytes_to_move(bilinear()) == 2 * (high + low)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('direction', PASSES)
def test_a_trial_runs_what_it_says(layout, direction):
    case = make_case(layout=layout, direction=direction)
    for contestant in list_contestants(KINDS, FORMS, case):
        trial = prepare(contestant, case, Maps(case))
        for tensor in trial.inputs:
            assert tensor.dim() != 4 or tensor.is_contiguous(
                memory_format=getattr(torch, f'{layout}_format', torch.channels_last)
            )
        output, *gradients = trial()
        assert contestant.name == 'product' or output.shape[-2:] == (10, 10)
        assert not output.isnan().any()
        if direction == 'forward' or contestant.name in ('copy', 'product'):
            assert gradients == []
            continue
        assert trial.gradient.shape == output.shape
        assert output.dim() != 4 or trial.gradient.stride() == output.stride()
        assert [g.shape for g in gradients] == [leaf.shape for leaf in trial.leaves]
        assert any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize('form', FORMS)
def test_a_trial_runs_in_its_form(form):
    used = []

    def function(x):
        used.append(sapa_ops.backend_for(x).name)
        return x

    Trial(Workload(function, ('x',)), form, Maps(make_case()))()
    assert used == [form]


def test_turns_are_spread_evenly():
    calls = []
    functions = [lambda: calls.append('often'), lambda: calls.append('seldom')]

    def stopwatch(function):
        function()
        return float(len(calls))

    often, seldom = time_interleaved(functions, [6, 2], stopwatch)
    assert sorted(often + seldom) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [calls[int(turn) - 1] for turn in seldom] == ['seldom'] * 2
    assert len(often) == 6
    assert seldom[0] in (3, 4)
    assert seldom[1] in (7, 8)
    assert time_interleaved([], [], stopwatch) == []


def test_order_changes_between_rounds():
    calls = []
    functions = [lambda name=name: calls.append(name) for name in 'abcd']
    time_interleaved(functions, [5] * 4, lambda function: function() or 0.0)
    rounds = [''.join(calls[start : start + 4]) for start in range(0, 20, 4)]
    assert all(sorted(names) == list('abcd') for names in rounds)
    assert len(set(rounds)) > 1


@pytest.mark.parametrize(
    ('seconds', 'runs'), [(0.0, 20), (0.5, 20), (1.0, 10), (2.4, 4), (4.0, 3), (100.0, 3)]
)
def test_slow_contestants_run_less_often(seconds, runs):
    assert affordable_runs(seconds, repeats=20, budget=10.0) == runs


@pytest.mark.parametrize(('seconds', 'calls'), [(1.0, 2), (5.0, 1)])
def test_slow_contestants_warm_up_once(seconds, calls):
    made = []

    def stopwatch(function):
        function()
        return seconds

    returned, estimate = warm_up(lambda: made.append(None) or 'result', stopwatch, budget=10.0)
    assert (returned, estimate, len(made)) == ('result', seconds, calls)


def test_without_the_compiled_form(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sapa_ops.backends._FORMS, 'compiled', lambda _: 'nobody built it')
    report = run_benchmark(make_settings(tmp_path, kinds=['operators'], forms=FORMS))
    assert len(report['notes']) == 1
    assert report['notes'][0].startswith('compiled, float32: not measured')
    assert 'nobody built it' in report['notes'][0]
    assert report['notes'][0] in capsys.readouterr().out
    page = (tmp_path / 'benchmark.md').read_text()
    assert report['notes'][0] in page
    assert report['cpu_capability'] is None
    assert '(compiled for the CPU: not built)' in page
    assert {result['form'] for result in report['results']} == {None, 'eager'}
    for result in report['results']:
        assert result['fresh']['to_bilinear'] > 0


def test_a_contestant_that_cannot_run_is_left_out(tmp_path, monkeypatch):
    def fail(*inputs):
        raise NotImplementedError('no kernel for this\nand a long explanation')

    monkeypatch.setitem(
        contestants_module._WORKLOADS['operators'], 'window_assemble', Workload(fail, ('x',))
    )
    monkeypatch.setattr(  # in this process
        'sapa_mm.analysis.benchmark.measure.call_with_pages',
        lambda pages, threads, function, *args: function(*args),
    )
    settings = make_settings(
        tmp_path, kinds=['operators'], layouts=['contiguous'], passes=['forward'], forms=FORMS
    )
    report = run_benchmark(settings)
    assert report['notes'] == [
        f'operator window_assemble, {form}, size 5, float32, contiguous, forward: '
        'time not measured: NotImplementedError: no kernel for this'
        for form in FORMS
    ]
    assert len(report['results']) == 3 + 2 * 3


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16', 'float64'])
def test_other_dtypes(tmp_path, dtype):
    settings = make_settings(
        tmp_path, dtypes=[dtype], passes=['forward+backward'], layouts=['contiguous']
    )
    report = run_benchmark(settings)
    assert report['notes'] == []
    assert {result['dtype'] for result in report['results']} == {dtype}


def test_no_picture_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    settings = make_settings(tmp_path, sizes=[5, 7], kinds=['operators'])
    run_benchmark(settings)
    assert 'No picture: matplotlib is not installed' in capsys.readouterr().out
    assert not (tmp_path / 'benchmark.png').exists()
    assert 'benchmark.png' not in (tmp_path / 'benchmark.md').read_text()


def test_files_appear_complete_or_not_at_all(tmp_path, monkeypatch):
    def fail(*paths):
        raise OSError('disk full')

    monkeypatch.setattr('os.replace', fail)
    with pytest.raises(OSError, match='disk full'):
        run_benchmark(make_settings(tmp_path, kinds=['operators']))
    assert not (tmp_path / 'benchmark.json').exists()


def test_threads_are_put_back(tmp_path, monkeypatch):
    # Two real threads on a busy core would keep waiting for each other.
    asked = []
    monkeypatch.setattr('torch.get_num_threads', lambda: 1)
    monkeypatch.setattr('torch.set_num_threads', asked.append)
    run_benchmark(make_settings(tmp_path, threads=[2], kinds=['operators']))
    assert asked == [2, 1]


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('sizes', [], 'sizes must be one or more positive numbers, got []'),
        ('sizes', [5, 0], 'sizes must be one or more positive numbers, got [5, 0]'),
        ('channels', [8, 6], "channels must be multiples of 4, SAPA-D's groups, got [8, 6]"),
        ('channels', [0], 'channels must be one or more positive numbers, got [0]'),
        ('batches', [0], 'batches must be one or more positive numbers, got [0]'),
        ('dtypes', ['int8'], 'dtypes must be one or more of float32, bfloat16, .* int8'),
        ('layouts', [], 'layouts must be one or more of contiguous, channels_last, got'),
        ('passes', ['up'], 'passes must be one or more of forward, .* up'),
        ('kinds', ['x'], 'kinds must be one or more of pipelines, .* x'),
        ('forms', ['x'], 'forms must be one or more of compiled, eager, .* x'),
        ('device', 'tpu', "device must be one of cpu, cuda, got 'tpu'"),
        ('threads', [0], 'threads must be one or more positive numbers, got [0]'),
        ('pages', ['x'], 'pages must be one or more of fresh, reused, got'),
        ('repeats', 2, 'repeats must be 3 or more, got 2'),
        ('budget', 0.0, 'budget must be a positive number of seconds, got 0.0'),
        ('budget', math.nan, 'budget must be a positive number of seconds, got nan'),
        ('seed', -1, 'seed must be from 0 to 2**32 - 1, got -1'),
        ('imports', ['no_such_module'], 'imports: no_such_module cannot be imported: ModuleNot'),
        ('imports', ['json'], "imports: json registers no Upsampler in mmengine's MODELS"),
        ('imports', ['/nowhere/my.py'], 'imports: /nowhere/my.py cannot be imported: ModuleNot'),
        ('imports', ['/nowhere/json.py'], 'imports: /nowhere/json.py has the name of the module '),
        ('out', __file__, f'out: {__file__} is not a folder'),
        ('out', f'{__file__}/sub', f'out: {__file__} is not a folder'),
    ],
)
def test_bad_settings_are_refused(option, value, message):
    with pytest.raises((ValueError, OSError), match=f'^{option}( must be|: )') as error:
        BenchmarkSettings(**{option: value})
    for part in message.split('.*'):
        assert part.strip() in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_a_missing_gpu_is_an_error():
    with pytest.raises(ValueError, match='device: torch sees no GPU here'):
        BenchmarkSettings(device='cuda')


def test_repeated_values_count_once():
    settings = BenchmarkSettings(sizes=[9, 5, 9], dtypes=['float64', 'float32', 'float64'])
    assert settings.sizes == [9, 5]
    assert settings.dtypes == ['float64', 'float32']


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu(tmp_path):
    settings = make_settings(tmp_path, device='cuda', pages=['reused'], memory=True)
    report = run_benchmark(settings)
    assert report['device'] == torch.cuda.get_device_name()
    for result in report['results']:
        assert result['reused']['median_ms'] > 0
        if result['name'] not in ('copy', 'product'):
            assert result['memory']['peak'] >= result['memory']['output']
