"""Export a model: symbol and params, ONNX, int8, manifest; or count what it costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uniface_mx.cli.program import program, within
from uniface_mx.data.calibration import read_calibration
from uniface_mx.deploy.export import export_model
from uniface_mx.models import PRESETS, ModelFiles, get_model
from uniface_mx.models.cost import model_cost
from uniface_mx.models.files import WHOLE, load_weights
from uniface_mx.models.randomize import randomize
from uniface_mx.models.uniface import inference_graphs
from uniface_mx.train.result import TrainedModel, load_exported, load_run


def summary() -> None:
    """Print a Markdown table of parameters and multiply-adds of all models, counted from their graphs."""
    print('| model | parameters | of them recognition | multiply-adds an image | a face |')
    print('| --- | --- | --- | --- | --- |')
    for name in sorted(PRESETS):
        image, face = model_cost(get_model(name))
        print(
            f'| {name} | {(image.parameters + face.parameters) / 1e6:.2f} M | {face.parameters / 1e6:.3f} M '
            f'| {image.multiply_adds / 1e9:.2f} G | {face.multiply_adds / 1e9:.3f} G |'
        )


def write_symbols(out: str) -> None:
    """Write the graphs of all models, without weights."""
    Path(out).mkdir(parents=True, exist_ok=True)
    for name in sorted(PRESETS):
        ModelFiles(Path(out) / name).write_symbol(inference_graphs(get_model(name))[WHOLE].symbol)
        print(f'{out}/{name}-symbol.json')


def chosen_model(arguments: argparse.Namespace) -> TrainedModel:
    """Network, name, mean embedding and the manifest's entries on where they come from."""
    overrides = {'roi_op': arguments.roi_op, 'max_faces': arguments.max_faces}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    if arguments.run_folder:
        return load_run(arguments.run_folder, arguments.checkpoint or 'best', **overrides)
    if arguments.exported:
        return load_exported(arguments.exported, **overrides)
    net, about = get_model(arguments.model, **overrides), {'name': arguments.model, 'overrides': overrides}
    if arguments.params:
        load_weights(net, arguments.params)
        about['params'] = Path(arguments.params).name
    else:
        randomize(net, arguments.random)
        about['random'] = arguments.random
    return TrainedModel(net, arguments.model, None, {'model': about})


def export(arguments: argparse.Namespace) -> None:
    """Write one model and print how far what was written is from Gluon."""
    net, name, mean, details = chosen_model(arguments)
    calibration = read_calibration(arguments.calibrate, net.size) if arguments.int8 else None
    name, forms = arguments.name or name, (arguments.split, arguments.onnx)
    differences = export_model(net, name, arguments.out, *forms, mean, details, calibration)
    for what, difference in differences.items():
        print(f'{what}: largest difference from Gluon {difference:.1e}')
    if arguments.int8:
        int8 = ModelFiles(Path(arguments.out) / name).manifest['int8']
        cosine = f'mean cosine with float32 {int8["cosine"]:.4f}'
        print(f'{name}, int8: calibrated on {int8["photos"]} photos, {cosine}')


def work(arguments: argparse.Namespace) -> None:
    """Do what the options say; those that do not go together end the program with the usage."""
    if arguments.summary:
        return summary()
    if arguments.symbols:
        return write_symbols(arguments.symbols)
    trained = arguments.run_folder or arguments.exported
    named = arguments.model and (arguments.params or arguments.random is not None)
    needed = (
        'give --out and one of --run and --exported, or --out, --model and one of --params and --random '
        '(or --summary, or --symbols DIR)'
    )
    for wrong, wanted in (
        (not arguments.out or not (trained or named), needed),
        (arguments.model and trained, '--model goes with --params and --random'),
        (arguments.checkpoint and not arguments.run_folder, '--checkpoint goes with --run'),
        (arguments.calibrate and not arguments.int8, '--calibrate goes with --int8'),
    ):
        if wrong:
            arguments.error(wanted)
    return export(arguments)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the program can be told."""
    add, weigh = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add('--model', help='uniface_a ... uniface_d, uniface_a_lite ... uniface_d_lite')
    weigh('--params', help='file of weights')
    text = 'a folder of tools/train.py: its model, weights and mean embedding'
    weigh('--run', metavar='DIR', dest='run_folder', help=text)
    text = 'an exported model, or the name of one that ships, to export anew'
    weigh('--exported', metavar='PREFIX', help=text)
    weigh('--random', type=within(0, 2**31 - 1), metavar='SEED', help='random weights instead')
    add('--checkpoint', choices=('best', 'last'), help='of --run (best)')
    add('--out', help='folder to write into')
    add('--name', help="name of the files; by default the model's")
    add('--split', action='store_true', help='also write the two halves, NAME-trunk and NAME-faces')
    add('--onnx', action='store_true', help='also write ONNX files')
    add('--int8', action='store_true', help='also write both halves in int8, for CPUs (with --calibrate)')
    text = 'record sets with the values to expect'
    add('--calibrate', nargs='+', default=[], metavar='RECORDS', help=text)
    add('--max-faces', type=int, metavar='K', help='rows of the output (16)')
    add('--roi-op', choices=('pool', 'align'), help='how regions are cut (pool)')
    add('--summary', action='store_true', help='print parameters and multiply-adds of all models')
    add('--symbols', metavar='DIR', help='write the graphs of all models, without weights')


main = program('export', __doc__, work, add_options)

if __name__ == '__main__':
    sys.exit(main())
