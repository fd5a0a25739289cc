"""What a model costs: parameters and multiply-adds, counted from its graphs."""

from __future__ import annotations

import argparse
from pathlib import Path

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import options
from uniface_mx.evaluation.subject import hash_model
from uniface_mx.models import get_model
from uniface_mx.models.cost import model_cost

HELP = 'parameters and multiply-adds'


def add_options(command: argparse.ArgumentParser) -> None:
    """Options of :func:`run`."""
    options.add_model(command)


def run(arguments: argparse.Namespace) -> None:
    """Parameters and multiply-adds, of an image and of each face."""
    model = options.manifest_of(arguments).get('model')
    if not isinstance(model, dict) or 'name' not in model:
        raise UnifaceError(f'{arguments.model}.json does not say which model it is')
    image, face = model_cost(get_model(model['name'], **model.get('overrides', {})))
    figures = {
        'parameters': image.parameters + face.parameters,
        'parameters_of_recognition': face.parameters,
        'multiply_adds_image': image.multiply_adds,
        'multiply_adds_face': face.multiply_adds,
    }
    for name, value in figures.items():
        print(f'{name.replace("_", " ")}: {value:,}')
    about = {'name': Path(arguments.model).name, 'identity': {'sha256': hash_model(arguments.model)}}
    options.write(arguments, 'cost', about, {'name': 'graph'}, figures)
