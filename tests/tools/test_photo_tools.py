"""What detect, verify and gallery have in common."""

from importlib import import_module

import pytest
from rectangles import MANIFEST, load_rectangles, photo

from tools import gallery, verify
from uniface_mx.image import write_image


@pytest.fixture
def photos(monkeypatch, tmp_path):
    """Two photos, ``ann.png`` and ``ann2.png``, that the model of rectangles finds 0.953 alike."""
    load_rectangles(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name, green in (('ann', 10), ('ann2', 60)):
        write_image(tmp_path / (name + '.png'), photo(300, 300, (30, 40, 90, 110, 230, green)))


@pytest.mark.parametrize(
    'tool, words, status',
    [
        ('detect', ['ann.png'], 1),
        ('verify', ['ann.png', 'ann2.png'], 2),
        ('gallery', ['enroll', 'g.npz', 'ann.png'], 1),
    ],
)
def test_large_photos_are_refused(photos, capsys, tool, words, status):
    if tool == 'gallery':
        pytest.importorskip('faiss')
    assert import_module(f'tools.{tool}').main(words + ['--max-pixels', '89999']) == status
    assert 'more than the limit' in capsys.readouterr().err


def test_a_gallery_is_asked_by_the_stricter_threshold(photos, monkeypatch):
    pytest.importorskip('faiss')
    monkeypatch.setitem(MANIFEST['thresholds'], 'identification', 0.98)
    assert verify.main(['ann.png', 'ann2.png']) == 0
    assert gallery.main(['enroll', 'g.npz', 'ann.png', '--person', 'Ann']) == 0
    assert gallery.main(['identify', 'g.npz', 'ann2.png']) == 1
    assert gallery.main(['enroll', 'g.npz', 'ann2.png', '--person', 'Bob']) == 0
    assert gallery.main(['check', 'g.npz']) == 0


def test_a_gallery_of_another_model_cannot_be_checked(photos, capsys):
    pytest.importorskip('faiss')
    assert gallery.main(['enroll', 'g.npz', 'ann.png', '--person', 'Ann']) == 0
    other = gallery.Gallery.load('g.npz')
    other.model = 'another'
    other.save('g.npz')
    assert gallery.main(['check', 'g.npz']) == 2
    assert 'g.npz' in capsys.readouterr().err
