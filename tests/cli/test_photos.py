import argparse

import pytest
from rectangles import predictor

from uniface_mx.cli.photos import add_predictor_options, chosen_threshold, load_predictor
from uniface_mx.deploy.predictor import Predictor
from uniface_mx.errors import UnifaceError


def test_threshold():
    assert chosen_threshold(argparse.Namespace(threshold=None), 0.8) == 0.8
    assert chosen_threshold(argparse.Namespace(threshold=0), 0.8) == 0
    with pytest.raises(UnifaceError, match='DIR/NAME: .* give --threshold'):
        chosen_threshold(argparse.Namespace(threshold=None, model='DIR/NAME'), None)


def test_options_reach_the_predictor(monkeypatch):
    asked = {}

    def load(cls, *where, **options):
        asked.update(options, where=where)
        return predictor()

    monkeypatch.setattr(Predictor, 'load', classmethod(load))
    parser = argparse.ArgumentParser()
    add_predictor_options(parser)
    words = (
        '--model m --backend onnx --device gpu(1) --score 0.3 --min-size 24 --tile 600 --mirror --batch 2 '
        '--max-pixels 999 --max-faces 5'
    )
    load_predictor(parser.parse_args(words.split()))
    assert asked == dict(
        where=('m', 'onnx', 'gpu(1)'),
        score_threshold=0.3,
        min_size=24,
        tile=600,
        mirror=True,
        batch=2,
        max_pixels=999,
        max_faces=5,
    )
