"""What people import, and what they imported before."""

import importlib
import subprocess
import sys

import pytest

import uniface_mx
from uniface_mx.deploy import gallery, predictor


@pytest.mark.parametrize('name', uniface_mx.__all__)
def test_short_names(name):
    assert getattr(uniface_mx, name).__name__ == name and name in dir(uniface_mx)


def test_unknown_names():
    with pytest.raises(AttributeError, match="'uniface_mx' has no attribute 'Predictr'"):
        uniface_mx.Predictr  # noqa: B018
    with pytest.raises(ImportError, match='Predictr'):
        from uniface_mx import Predictr  # noqa: F401


@pytest.mark.parametrize('program', ['import uniface_mx', 'from uniface_mx import geometry, paths'])
def test_the_package_alone_is_light(program):
    program += "; import sys; assert not {'mxnet', 'scipy', 'matplotlib'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, '-c', program], check=True)


@pytest.mark.parametrize(
    'former, now, names',
    [
        ('uniface_mx.predictor', predictor, ('Face', 'Predictor', 'view_boxes')),
        ('uniface_mx.gallery', gallery, ('Gallery', 'GalleryError', 'Match', 'open_gallery')),
    ],
)
def test_former_modules_warn(former, now, names):
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=f'{former} is {now.__name__} now'):
        module = importlib.import_module(former)
    assert all(getattr(module, name) is getattr(now, name) for name in names)
