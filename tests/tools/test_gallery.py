import json
from pathlib import Path

import pytest
from rectangles import load_rectangles, photo

from tools import gallery as tool
from uniface_mx.deploy.gallery import Gallery
from uniface_mx.image import read_image, write_image

pytest.importorskip('faiss')


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command on the gallery ``g.npz`` in a folder of photos with the model of rectangles."""
    load_rectangles(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name, green in (('people/ann/1.png', 10), ('people/ann/2.png', 20), ('people/bob/1.png', 250)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(
            tmp_path / name, photo(300, 300, (30, 40, 90, 110, 230, green), (200, 200, 220, 220, 230, 130))
        )
    write_image(
        tmp_path / 'party.png', photo(400, 400, (20, 20, 80, 80, 230, 240), (100, 100, 200, 200, 230, 18))
    )
    write_image(tmp_path / 'stranger.png', photo(400, 400, (20, 20, 80, 80, 230, 130)))
    write_image(tmp_path / 'none.png', photo(400, 400))

    def run(command, *arguments):
        model = ['--model', 'any'] if command in ('enroll', 'identify') else []
        return tool.main([command, 'g.npz', *arguments, *model])

    return run


def test_a_gallery_from_folders(run, capsys, tmp_path):
    assert run('enroll', 'people') == 0
    assert capsys.readouterr().out == (
        '3 photos enrolled as ann, bob (3 with several faces: the largest counts), now 2 people on 3 photos\n'
    )
    assert run('list') == 0
    assert capsys.readouterr().out == 'ann: 2\nbob: 1\n'
    assert run('identify', 'party.png', '--out', 'named') == 0
    assert capsys.readouterr().out == 'party.png: ann 1.00, bob 1.00\n'
    assert read_image(tmp_path / 'named' / 'party.jpg').shape == (400, 400, 3)
    assert run('identify', 'stranger.png') == 1
    assert capsys.readouterr().out == 'stranger.png: unknown\n'
    assert run('check', '--threshold', '0.8') == 0
    assert capsys.readouterr().out == 'nothing looks wrong\n'
    assert run('remove', 'ann') == 0
    assert capsys.readouterr().out == 'ann: 2 photos removed\n'
    assert Gallery.load('g.npz').people() == {'bob': 1}


def test_json(run, capsys):
    assert run('enroll', 'people', '--json') == 0
    told = json.loads(capsys.readouterr().out)
    assert (told['enrolled'], told['people'], told['entries'], told['skipped']) == (3, 2, 3, {})
    assert run('identify', 'party.png', '--json', '--people', '2', '--threshold', '0') == 0
    faces = json.loads(capsys.readouterr().out)['faces']
    assert [[match['person'] for match in face['people']] for face in faces] == [
        ['ann', 'bob'],
        ['bob', 'ann'],
    ]
    assert faces[0]['box'] == [100, 100, 200, 200]
    assert faces[0]['people'][0]['photo'] == str(Path('people/ann/2.png').resolve())
    run('list', '--json')
    assert json.loads(capsys.readouterr().out) == {'model': 'f' * 64, 'people': {'ann': 2, 'bob': 1}}


def test_a_photo_is_known_by_its_place_however_it_is_named(run, monkeypatch, tmp_path, capsys):
    run('enroll', 'people/ann/2.png')
    run('enroll', 'people/../people/ann/2.png', str(tmp_path / 'people' / 'ann' / '2.png'))
    assert Gallery.load('g.npz').people() == {'ann': 1}
    # Two photos of one name in two folders are two.
    monkeypatch.chdir(tmp_path / 'people' / 'ann')
    assert tool.main(['enroll', '../../g.npz', '1.png', '--person', 'cid', '--model', 'any']) == 0
    monkeypatch.chdir(tmp_path / 'people' / 'bob')
    assert tool.main(['enroll', '../../g.npz', '1.png', '--person', 'cid', '--model', 'any']) == 0
    monkeypatch.chdir(tmp_path)
    assert Gallery.load('g.npz').people() == {'ann': 1, 'cid': 2}
    capsys.readouterr()
    assert run('remove', 'cid', '--photo', 'people/bob/1.png') == 0
    assert capsys.readouterr().out == 'cid: 1 photos removed\n'


def test_what_no_gallery_can_be_made_of(run, tmp_path, capsys):
    assert tool.main(['enroll', 'nowhere/g.npz', 'people', '--model', 'any']) == 2
    assert 'nowhere/g.npz: there is no such folder' in capsys.readouterr().err
    assert run('enroll', 'people', '--person', '') == 2
    assert 'needs a name' in capsys.readouterr().err
    for threshold in ('nan', 'inf', '1.5'):
        with pytest.raises(SystemExit):
            run('check', '--threshold', threshold)
        assert 'is not a number from -1 to 1' in capsys.readouterr().err


def test_one_person_and_photos_that_do_not_serve(run, capsys):
    assert run('enroll', 'stranger.png', 'none.png', 'missing.png', '--person', 'cid') == 1
    err = capsys.readouterr().err
    assert 'none.png: no face found' in err and 'missing.png: no such file' in err
    assert Gallery.load('g.npz').people() == {'cid': 1}
    assert run('identify', 'stranger.png', 'none.png') == 0
    assert 'cid 1.00' in capsys.readouterr().out
    assert run('identify', 'stranger.png', 'missing.png') == 1


def test_mixed_up_people_are_noticed(run, capsys):
    run('enroll', 'people')
    run('enroll', 'people/ann/2.png', '--person', 'bob')
    assert run('check', '--threshold', '0.8', '--json') == 1
    doubts = json.loads(capsys.readouterr().out.splitlines()[-1])['doubts']
    assert f'{Path("people/ann/2.png").resolve()}: unlike all other photos of bob' in doubts
    assert run('remove', 'bob', '--photo', 'people/ann/2.png', '--photo', 'x.png') == 2
    assert "x.png: is no photo of 'bob'" in capsys.readouterr().err
    assert run('remove', 'bob', '--photo', 'people/ann/2.png') == 0
    assert capsys.readouterr().out == 'bob: 1 photos removed\n'
    assert Gallery.load('g.npz').people() == {'ann': 2, 'bob': 1}
    assert run('check', '--threshold', '0.8') == 0


def test_nobody_is_named_twice_in_a_photo(run, capsys, tmp_path):
    write_image(
        tmp_path / 'twins.png', photo(300, 300, (20, 20, 120, 120, 230, 18), (150, 20, 290, 160, 230, 12))
    )
    run('enroll', 'people/ann')
    capsys.readouterr()
    assert run('identify', 'twins.png') == 0
    assert capsys.readouterr().out.count('ann') == 1
    assert run('identify', 'twins.png', '--people', '2') == 0
    assert capsys.readouterr().out.count('ann') == 2
    with pytest.raises(SystemExit) as left:
        run('identify', 'twins.png', '--people', '0')
    assert left.value.code == 2


def test_own_pictures_are_not_overwritten(run, capsys, tmp_path):
    run('enroll', 'people')
    (tmp_path / 'album').mkdir()
    (tmp_path / 'album' / 'party.jpg').write_bytes(b'mine')
    assert run('identify', 'party.png', '--out', 'album') == 2
    assert 'would overwrite' in capsys.readouterr().err
    assert (tmp_path / 'album' / 'party.jpg').read_bytes() == b'mine'
    assert (
        run('identify', 'party.png', '--out', 'named') == run('identify', 'party.png', '--out', 'named') == 0
    )
    assert len((tmp_path / 'named' / 'people.jsonl').read_text().splitlines()) == 1


def test_a_photo_that_cannot_be_read_has_its_line(run, capsys, tmp_path):
    run('enroll', 'people')
    (tmp_path / 'bad.png').write_bytes(b'no picture')
    assert run('identify', 'party.png', 'bad.png', '--out', 'named') == 1
    lines = [json.loads(line) for line in (tmp_path / 'named' / 'people.jsonl').read_text().splitlines()]
    assert [line['photo'] for line in lines] == ['party.png', 'bad.png'] and 'error' in lines[1]


def test_trouble(run, capsys, tmp_path):
    assert run('list') == 2
    assert run('identify', 'party.png') == 2
    assert run('remove', 'ann') == 2
    run('enroll', 'people')
    assert run('remove', 'bob', 'nobody') == 2
    assert Gallery.load('g.npz').people() == {'ann': 2, 'bob': 1}
    gallery = Gallery.load('g.npz')
    gallery.model = 'another'
    gallery.save('g.npz')
    for command in ('enroll', 'identify'):
        assert run(command, 'party.png') == 2
        assert 'made with another model' in capsys.readouterr().err
    (tmp_path / 'g.npz').write_bytes(b'broken')
    for arguments in (
        ['list'],
        ['check'],
        ['remove', 'ann'],
        ['enroll', 'party.png'],
        ['identify', 'party.png'],
    ):
        assert run(*arguments) == 2
        assert 'g.npz: not a gallery, or damaged' in capsys.readouterr().err
    assert (tmp_path / 'g.npz').read_bytes() == b'broken'
