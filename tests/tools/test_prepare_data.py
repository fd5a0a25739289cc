import json
import os
import re
from pathlib import Path

import pytest
from fakes import files_of, write_photos

from tools import prepare_data


@pytest.fixture
def tool():
    return prepare_data.main


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_photos(tmp_path / 'photos', 12)


FAKES = '--teacher fakes:FakeFinder fakes:FakeEmbedding --workers 0 --cache cache'
PEOPLE = 'folder:photos?pattern=(?P<person>[0-9]+)_'


def make(tool, out, *more, source=PEOPLE):
    return tool(['make', '--source', source, '--out', out, *FAKES.split(), *more])


def test_from_photos_to_a_checked_set(tool, photos, capsys):
    assert make(tool, 'all') == 0
    assert make(tool, 'one', '--shard', '1/2') == make(tool, 'two', '--shard', '2/2') == 0
    assert tool(['merge', 'one', 'two', '--out', 'merged']) == 0
    assert files_of('merged') == files_of('all')
    assert files_of('merged-negatives') == files_of('all-negatives')
    out = capsys.readouterr().out
    assert 'all.rec: 12 photos, 12 faces to learn, 0 ignored, 12 landmarks, 12 embeddings, 4 persons' in out
    assert tool(['split', 'all', '--parts', 'a=0.5', 'b=0.5']) == 0
    assert tool(['check', 'all', 'all-a', 'all-b']) == 0
    assert capsys.readouterr().out.count('sound') == 3
    assert tool(['stats', 'all', '--picture', 'stats.png']) == 0
    text = capsys.readouterr().out
    # The painted face is 40x50 in a photo 120 wide.
    assert re.search(r'face height at 300 px( +12\d\.\d\d){7}', text)
    assert Path('stats.png').stat().st_size > 10000
    assert tool(['show', 'all', '--out', 'show.png', '--count', '3', '--seed', '1']) == 0
    assert Path('show.png').exists() and capsys.readouterr().out.count('photos 0') == 3


def test_stats_match_the_anchors_of_a_config(tool, photos, capsys):
    make(tool, 'all')
    # Faces are 100x125 at 300 pixels; anchors of that height, and ones that are far too small.
    medians = []
    for heights in ('[24, 48, 90, 125, 198, 246, 288]', '[12, 13, 14, 15, 16, 17, 18]'):
        Path('config.yaml').write_text(f'model: {{anchor_heights: {heights}}}')
        assert tool(['stats', 'all', '--config', 'config.yaml']) == 0
        line = re.search('best anchor overlap +(.*)', capsys.readouterr().out).group(1)
        medians.append(float(line.split()[3]))
    assert medians[0] > 0.5 and medians[1] < 0.03


def test_check_fails_where_evaluation_photos_occur(tool, photos, capsys):
    make(tool, 'all')
    make(tool, 'evaluation', '--limit', '2')
    assert tool(['check', 'all', '--guard', 'evaluation']) == 1
    assert '2 in an evaluation set' in capsys.readouterr().out
    assert tool(['merge', 'all', '--out', 'clean', '--guard', 'evaluation']) == 0
    assert tool(['check', 'clean', '--guard', 'evaluation']) == 0


def test_rules_reach_the_records(tool, photos):
    words = '--size 70 --quality 55 --min-side 20 --max-pixels 99999 --accept 0.6 --agree 0.4 --min-face 11'
    make(tool, 'out', *words.split())
    options = json.loads(Path('out.json').read_text())['sources'][0]['options']
    asked = {'size': 70, 'quality': 55, 'min_side': 20, 'max_pixels': 99999}
    assert {key: options[key] for key in asked} == asked
    assert options['rules'] == {'accept': 0.6, 'agree': 0.4, 'min_face': 11}


def test_options_reach_the_records(tool, photos):
    words = '--size 60 --min-face 60 --no-mirror --limit 5 --people us --accept 0.5'
    make(tool, 'out', *words.split())
    meta = json.loads(Path('out.json').read_text())
    options = meta['sources'][0]['options']
    assert (options['size'], options['mirror'], options['rules']['accept']) == (60, False, 0.5)
    assert (meta['records'], meta['embeddings'], meta['persons']) == (5, 0, ['us/00', 'us/01'])


@pytest.mark.parametrize(
    'line, message',
    [
        ('make --source nothing:x --out o', 'nothing:x'),
        ('make --source folder:nowhere --out o', 'nowhere'),
        ('make --source folder:photos --out o --workers 0 --teacher nobody dlib', 'nobody'),
        ('make --source folder:photos --out o --shard 3/2', 'shard 3/2'),
        ('make --source folder:photos --out o --workers -1', '--workers'),
        (f'make --source folder:photos --out photos/00_000.jpg/o {FAKES}', 'cannot be written'),
        ('merge nowhere --out o', 'nowhere.json'),
        ('split nowhere --parts a=0.5 b=0.5', 'nowhere.json'),
        ('check nowhere', 'nowhere.json'),
        ('stats nowhere', 'nowhere.json'),
        ('show nowhere --out o.png', 'nowhere.json'),
        ('alter nowhere --out o', 'nowhere.json'),
    ],
)
def test_one_line_says_what_is_wrong(tool, photos, capsys, line, message):
    assert tool(line.split()) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('prepare_data: ') and message in error
    assert not any(name.startswith(('o', '.o')) for name in os.listdir('.'))


@pytest.mark.parametrize('line', ['', 'make', 'make --shard x', 'split a --parts b'])
def test_usage(tool, capsys, line):
    with pytest.raises(SystemExit) as end:
        tool(line.split())
    assert end.value.code == 2 and 'usage' in capsys.readouterr().err


OPTIONS = '--dask d --workers 1; --size 0; --quality 500; --accept nan; --max-bad -1; --limit 0'


@pytest.mark.parametrize('options', OPTIONS.split('; '))
def test_usage_of_make(tool, capsys, options):
    test_usage(tool, capsys, f'make --source s --out o {options}')
