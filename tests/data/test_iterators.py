import mxnet as mx
import numpy as np
import pytest

from uniface_mx.config.augmentation import AugmentSettings, RecordShare
from uniface_mx.data.loader import CanvasDataset, Canvases, CanvasIter, Loader, network_input
from uniface_mx.data.rows import OBJECT_WIDTH


@pytest.fixture(scope='module')
def name(tmp_path_factory, write_set):
    return write_set(tmp_path_factory.mktemp('set') / 'photos', 7)


def loader(name, seed=0, settings=None, **options):
    return Loader(
        Canvases([RecordShare(name)], settings or AugmentSettings(), seed=seed, size=64), 3, **options
    )


def test_the_network_takes_the_same_pixels_channels_first(name):
    batch = loader(name).make(0)
    data = network_input(batch.data)
    assert data.shape == (3, 3, 64, 64) and data.dtype == np.float32
    assert np.array_equal(data.asnumpy(), batch.data.transpose(0, 3, 1, 2))


def test_the_dataset_gives_what_the_loader_gives_in_any_order_and_process(name):
    source = Canvases([RecordShare(name)], AugmentSettings(), seed=0, size=64)
    dataset = CanvasDataset(source, first=6)
    batch = Loader(source, 3).make(2)
    for i in (2, 0, 1):
        image, rows = dataset[i]
        assert np.array_equal(image, batch.data[i]) and np.array_equal(rows, batch.label[i])
    with pytest.raises(IndexError, match='number'):
        dataset[len(dataset)]


def test_gluon_can_batch_the_dataset(name):
    source = Canvases([RecordShare(name)], AugmentSettings.none(), seed=None, size=64)
    batches = list(mx.gluon.data.DataLoader(CanvasDataset(source), 3))
    assert [data.shape[0] for data, _ in batches] == [3, 3, 1]
    assert np.array_equal(batches[0][0].asnumpy(), Loader(source, 3).make(0).data)


def test_the_iterator_streams_on_over_epochs(name):
    stream = CanvasIter(loader(name, workers=1), epoch_size=2)
    assert stream.provide_data[0].shape == (3, 3, 64, 64)
    assert stream.provide_label[0].shape == (3, 32, OBJECT_WIDTH)
    first = [b.data[0].asnumpy() for b in stream]
    stream.reset()
    second = [b.data[0].asnumpy() for b in stream]
    expected = [loader(name).make(i).data.transpose(0, 3, 1, 2) for i in range(4)]
    assert len(first) == len(second) == 2
    assert all(np.array_equal(a, b) for a, b in zip(first + second, expected))


def test_an_unshuffled_iterator_repeats_its_pass_and_says_what_is_padding(name):
    stream = CanvasIter(loader(name, seed=None, settings=AugmentSettings.none()))
    passes = []
    for _ in range(2):
        batches = list(stream)
        assert [b.pad for b in batches] == [0, 0, 2]
        passes.append(np.concatenate([b.data[0].asnumpy() for b in batches]))
        stream.reset()
    assert np.array_equal(*passes)


def test_module_trains_on_the_iterator(name):
    data, label = mx.sym.var('data'), mx.sym.var('label')
    centre = mx.sym.slice_axis(mx.sym.slice_axis(label, axis=1, begin=0, end=1), axis=2, begin=1, end=5)
    net = mx.sym.FullyConnected(
        mx.sym.Pooling(data / 255, kernel=(1, 1), global_pool=True, pool_type='avg'), num_hidden=4
    )
    net = mx.sym.LinearRegressionOutput(net, mx.sym.reshape(centre / 64, (-1, 4)))
    module = mx.mod.Module(net, label_names=['label'])
    module.fit(
        CanvasIter(loader(name), epoch_size=2),
        num_epoch=2,
        optimizer_params={'learning_rate': 0.01},
        eval_metric=mx.metric.Loss(),
    )
    assert all(np.isfinite(v.asnumpy()).all() for v in module.get_params()[0].values())
