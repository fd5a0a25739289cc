"""Export a model: symbol and params, ONNX, int8, manifest; or count what it costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uniface_mx.cli.program import run, within


def summary() -> str:
    """A Markdown table of parameters and multiply-adds of all models, counted from their graphs."""
    from uniface_mx.deploy.export import inference_graphs
    from uniface_mx.models import PRESETS, get_model
    from uniface_mx.models.cost import count

    rows = [
        '| model | parameters | of them recognition | multiply-adds an image | a face |',
        '| --- | --- | --- | --- | --- |',
    ]
    for name in sorted(PRESETS):
        graphs = inference_graphs(get_model(name))
        image, face = (count(*graphs[part]) for part in ('trunk', 'faces'))
        rows.append(
            f'| {name} | {(image.parameters + face.parameters) / 1e6:.2f} M | {face.parameters / 1e6:.3f} M | {image.multiply_adds / 1e9:.2f} G | {face.multiply_adds / 1e9:.3f} G |'
        )
    return '\n'.join(rows)


def write_symbols(out: str) -> None:
    """Write the graphs of all models, without weights."""
    from uniface_mx.deploy.export import inference_graphs, write_symbol
    from uniface_mx.models import PRESETS, get_model

    Path(out).mkdir(parents=True, exist_ok=True)
    for name in sorted(PRESETS):
        write_symbol(Path(out) / name, inference_graphs(get_model(name))[''].symbol)
        print(f'{out}/{name}-symbol.json')


def chosen_model(arguments: argparse.Namespace):
    """Network, name, mean embedding and the manifest's entries on where they come from."""
    from uniface_mx.models import get_model
    from uniface_mx.models.weights import load_weights, randomize
    from uniface_mx.train.result import TrainedModel, load_exported, load_run

    overrides = {'roi_op': arguments.roi_op, 'max_faces': arguments.max_faces}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    if arguments.run:
        return load_run(arguments.run, arguments.checkpoint or 'best', **overrides)
    if arguments.exported:
        return load_exported(arguments.exported, **overrides)
    net = get_model(arguments.model, **overrides)
    if arguments.params:
        load_weights(net, arguments.params)
    else:
        randomize(net, arguments.random)
    weights = {'params': Path(arguments.params).name} if arguments.params else {'random': arguments.random}
    return TrainedModel(
        net, arguments.model, None, {'model': dict(name=arguments.model, overrides=overrides, **weights)}
    )


def export(arguments: argparse.Namespace) -> None:
    """Write one model and print how far what was written is from Gluon."""
    from uniface_mx.deploy.export import export_model
    from uniface_mx.deploy.int8 import read_calibration
    from uniface_mx.models.manifest import read_manifest

    model = chosen_model(arguments)
    calibration = read_calibration(arguments.calibrate, model.net.size) if arguments.int8 else None
    name = arguments.name or model.name
    differences = export_model(
        model.net,
        name,
        arguments.out,
        arguments.split,
        arguments.onnx,
        model.mean,
        model.details,
        calibration,
    )
    for what, difference in differences.items():
        print(f'{what}: largest difference from Gluon {difference:.1e}')
    if arguments.int8:
        int8 = read_manifest(Path(arguments.out) / name, verify=False)['int8']
        print(
            '{}, int8: calibrated on {photos} photos, mean cosine with float32 {cosine:.4f}'.format(
                name, **int8
            )
        )


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', help='uniface_a ... uniface_d, uniface_a_lite ... uniface_d_lite')
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument('--params', help='file of weights')
    weights.add_argument(
        '--run', metavar='DIR', help='a folder of tools/train.py: its model, weights and mean embedding'
    )
    weights.add_argument(
        '--exported',
        metavar='PREFIX',
        help='an exported model, or the name of one that ships, to export anew',
    )
    weights.add_argument('--random', type=within(0, 2**31 - 1), metavar='SEED', help='random weights instead')
    parser.add_argument('--checkpoint', choices=('best', 'last'), help='of --run (best)')
    parser.add_argument('--out', help='folder to write into')
    parser.add_argument('--name', help="name of the files; by default the model's")
    parser.add_argument(
        '--split', action='store_true', help='also write the two halves, NAME-trunk and NAME-faces'
    )
    parser.add_argument('--onnx', action='store_true', help='also write ONNX files')
    parser.add_argument(
        '--int8', action='store_true', help='also write both halves in int8, for CPUs (with --calibrate)'
    )
    parser.add_argument(
        '--calibrate', nargs='+', default=[], metavar='RECORDS', help='record sets with the values to expect'
    )
    parser.add_argument('--max-faces', type=int, metavar='K', help='rows of the output (16)')
    parser.add_argument('--roi-op', choices=('pool', 'align'), help='how regions are cut (pool)')
    parser.add_argument(
        '--summary', action='store_true', help='print parameters and multiply-adds of all models'
    )
    parser.add_argument('--symbols', metavar='DIR', help='write the graphs of all models, without weights')
    arguments = parser.parse_args(argv)
    if arguments.summary:
        return run('export', lambda: print(summary()))
    if arguments.symbols:
        return run('export', lambda: write_symbols(arguments.symbols))
    if not arguments.out or not (
        arguments.run
        or arguments.exported
        or arguments.model
        and (arguments.params or arguments.random is not None)
    ):
        parser.error(
            'give --out and one of --run and --exported, or --out, --model and one of --params and --random '
            '(or --summary, or --symbols DIR)'
        )
    for unused, wanted in (
        (
            arguments.model and (arguments.run or arguments.exported),
            '--model goes with --params and --random',
        ),
        (arguments.checkpoint and not arguments.run, '--checkpoint goes with --run'),
        (arguments.calibrate and not arguments.int8, '--calibrate goes with --int8'),
    ):
        if unused:
            parser.error(wanted)
    return run('export', lambda: export(arguments))


if __name__ == '__main__':
    sys.exit(main())
