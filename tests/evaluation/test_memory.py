import json
import mmap

import pytest
from rectangles import photo, predictor

from tools import benchmark
from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import benchmark as memory
from uniface_mx.evaluation.results import read_result
from uniface_mx.image import write_image


@pytest.fixture
def folders(tmp_path):
    for folder, count in (('few', 3), ('many', 20)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            write_image(tmp_path / folder / f'{number}.png', photo(40 + number, 60, (10, 10, 20, 20)))
    return [str(tmp_path / 'few'), str(tmp_path / 'many')]


def test_folders_take_turns(folders):
    photos = memory.choose(folders, 8, 0)
    assert sorted(chosen.path.parent.name for chosen in photos) == ['few'] * 3 + ['many'] * 5
    assert len({chosen.path for chosen in photos}) == 8
    assert [chosen.path for chosen in photos] == [chosen.path for chosen in memory.choose(folders, 8, 0)]
    assert [chosen.path for chosen in photos] != [chosen.path for chosen in memory.choose(folders, 8, 1)]
    with pytest.raises(UnifaceError, match='24 photos are needed, 23 are there'):
        memory.choose(folders, 24, 0)


def test_resident_grows_with_what_is_held():
    before = memory.resident()
    # Fresh pages from the kernel: an allocator may hand out some that the process already holds.
    with mmap.mmap(-1, 64 * memory.MIB) as held:
        for start in range(0, len(held), mmap.PAGESIZE):
            held[start] = 1
        assert 50 * memory.MIB < memory.resident() - before < 90 * memory.MIB


def test_rows(folders, tmp_path):
    (tmp_path / 'many' / '0.png').write_bytes(b'no picture')
    rows = list(memory.watch(predictor(), memory.choose(folders, 23, 0), every=10, batch=4))
    assert rows[-1]['photos'] == 23 and rows[-1]['skipped'] == 1 and rows[-1]['faces'] == 22
    assert rows[-1]['pixels'] == [40 * 60, 2910, 59 * 60] and len(rows) == 3
    rows = [dict(row, bytes=n * memory.MIB) for n, row in enumerate(rows, 4)]
    head, first, second, last = memory.memory_table(rows)
    assert first.split()[2:] == ['4', '+0.0%'] and last.split()[2:] == ['6', '+50.0%']


def test_by_command(exported_model, folders, tmp_path, capsys):
    arguments = ['memory', '--model', str(exported_model), '--photos', *folders, '--count', '12', '--every']
    results = ['--results', str(tmp_path / 'results'), '--out', str(tmp_path / 'rows.json')]
    assert benchmark.main([*arguments, '6', '--batch', '3', *results]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == '6'
    result = read_result(tmp_path / 'results' / 'lite' / 'memory.json')
    rows = json.loads((tmp_path / 'rows.json').read_text())['rows']
    assert result['metrics']['rows'] == rows and [row['photos'] for row in rows] == [6, 12]
    assert result['metrics']['change'] == rows[1]['bytes'] / rows[0]['bytes'] - 1
    with pytest.raises(SystemExit):
        benchmark.main([*arguments, '0'])
    assert '--every: 0 is not a number from 1 on' in capsys.readouterr().err
