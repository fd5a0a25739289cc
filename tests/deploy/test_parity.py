"""Every way to run a model gives the same faces: eight models, random weights and batch-norm statistics."""

import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from agreement import ROUNDING, assert_same_faces, difference
from compiling import compile_example

from uniface_mx.deploy.backends import BACKENDS
from uniface_mx.deploy.export import export_model
from uniface_mx.models import PRESETS, get_model
from uniface_mx.models.files import ModelFiles
from uniface_mx.models.randomize import randomize

EXAMPLES = Path(__file__).resolve().parents[2] / 'examples'
BATCHES = (1, 4)
# Rows of the outputs; fewer than by default, as Model C takes 2.5 G multiply-adds for each.
FACES = 6
MXNET, ONNX = 1e-5, 1e-4


class Exported:
    """A model, its files, and what Gluon says of a batch of 1 and one of 4."""

    def __init__(self, name, folder):
        self.net = get_model(name, max_faces=FACES)
        randomize(self.net, seed=1)
        self.prefix, self.folder = folder / name, folder
        self.printed = export_model(self.net, name, folder, split=True, onnx=True)
        random = np.random.RandomState(2)
        self.inputs = {
            batch: random.uniform(0, 255, (batch, 3, 300, 300)).astype(np.float32) for batch in BATCHES
        }
        self.outputs = {batch: self.run(self.net, data) for batch, data in self.inputs.items()}
        self.frame = self.net.recognition.regions._frame
        for batch, data in self.inputs.items():
            np.save(folder / f'input{batch}.npy', data)

    @staticmethod
    def run(block, data):
        return [array.asnumpy() for array in block(mx.nd.array(data))]

    def check(self, run, tolerance=MXNET):
        for batch, data in self.inputs.items():
            assert_same_faces(self.outputs[batch], run(data), tolerance, self.frame)


@pytest.fixture(scope='module', params=sorted(PRESETS))
def exported(request, tmp_path_factory):
    return Exported(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope='module')
def c_program(tmp_path_factory):
    return compile_example('predict', tmp_path_factory.mktemp('c'))


def test_faces_are_many_and_values_of_order_one(exported):
    detections, embeddings = exported.outputs[4]
    assert np.all(detections[..., 0] > 0.05) and np.ptp(detections[..., 0]) > 100 * MXNET
    lengths = np.linalg.norm(embeddings, axis=2)
    # Model C's map ends at 281.5 pixels: faces behind that have no feature, and random networks no bias.
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0) & (detections[..., 1:3].max(axis=2) > 250))
    assert np.mean(lengths > 0) >= 0.5
    logits, boxes, landmarks, features = exported.run(exported.net.network, exported.inputs[1])
    assert 0.3 < np.sqrt(np.mean(features**2)) < 3
    assert all(0.02 < array.std() < 3 for array in (logits, boxes, landmarks))


def test_what_the_exporter_prints(exported):
    assert len(exported.printed) == 6
    for what, value in exported.printed.items():
        assert value <= (ONNX if 'ONNX' in what else ROUNDING), what


def test_module_in_a_process_without_this_package(exported):
    output = exported.folder / 'module.npz'
    program = (
        'import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__"); '
        'assert not any(name.startswith("uniface_mx") for name in sys.modules)'
    )
    inputs = [str(exported.folder / f'input{batch}.npy') for batch in BATCHES]
    example = [str(EXAMPLES / 'python' / 'module_api.py'), str(exported.prefix)]
    command = [sys.executable, '-c', program, *example, *inputs, str(output)]
    subprocess.run(command, check=True, cwd=str(exported.folder), timeout=240)
    results = np.load(output)
    for number, batch in enumerate(BATCHES):
        actual = [results[name + str(number)] for name in ('detections', 'embeddings')]
        assert_same_faces(exported.outputs[batch], actual, MXNET, exported.frame)


def test_c_program(exported, c_program):
    def run(data):
        source, target = exported.folder / 'c.in', exported.folder / 'c.out'
        source.write_bytes(data.tobytes())
        command = [str(c_program), str(exported.prefix), str(len(data)), '300', str(source), str(target)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout
        shapes = [tuple(int(side) for side in line.split()) for line in printed.strip().split('\n')]
        assert shapes == [(len(data), FACES, 15), (len(data), FACES, 128)]
        detections, embeddings = np.split(np.fromfile(target, np.float32), [np.prod(shapes[0])])
        return detections.reshape(shapes[0]), embeddings.reshape(shapes[1])

    exported.check(run)


def test_symbol_block(exported):
    block = mx.gluon.SymbolBlock.imports(
        f'{exported.prefix}-symbol.json', ['data'], f'{exported.prefix}-0000.params'
    )
    exported.check(lambda data: exported.run(block, data))


def test_onnx_runtime(exported):
    backend = BACKENDS['onnx'](ModelFiles(exported.prefix))
    exported.check(lambda data: backend.run('whole', {'data': data}), ONNX)


@pytest.mark.parametrize('runtime', ['mxnet', 'onnx'])
def test_halves_against_the_whole(exported, runtime):
    backend = BACKENDS[runtime](ModelFiles(exported.prefix))

    def half(part, **inputs):
        return [backend.to_numpy(output) for output in backend.run(part, inputs)]

    def run(data):
        detections, features = half('trunk', data=data)
        image = np.repeat(np.arange(len(data), dtype=np.float32), detections.shape[1])[:, None]
        faces = np.concatenate([image, detections[..., 1:].reshape(-1, 14)], axis=1)
        (embeddings,) = half('faces', features=features, faces=faces)
        return detections, embeddings.reshape(len(data), -1, 128)

    exported.check(run, MXNET if runtime == 'mxnet' else ONNX)


def test_hybridized(exported):
    for static in (False, True):
        exported.net.hybridize(static_alloc=static, static_shape=static)
        for _ in range(2):
            exported.check(lambda data: exported.run(exported.net, data))
    logits = exported.run(exported.net.network, exported.inputs[1])
    exported.net.hybridize(False)
    for expected, actual in zip(exported.run(exported.net.network, exported.inputs[1]), logits):
        assert np.max(difference(expected, actual)) <= MXNET
