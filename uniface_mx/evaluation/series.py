"""Several evaluations of one model in a row, as a file lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Sequence, Tuple, Union

import yaml

from uniface_mx.errors import UnifaceError
from uniface_mx.evaluation import EVALUATIONS
from uniface_mx.evaluation.options import recorded
from uniface_mx.evaluation.results import ResultError, read_result
from uniface_mx.evaluation.subject import hash_model


def read_settings(path: Union[str, Path]) -> List[Tuple[str, List[str]]]:
    """Names and options, as on a command line, of the evaluations in a YAML file.

    It holds a list, each entry a name with its options: ``- lfw: {images: LFW, pairs: pairs.txt, perturb: 60,
    seed: [0, 1, 2]}``. `UnifaceError` where it does not, or names an evaluation that there is not.
    """
    try:
        entries = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnifaceError(f'{path}: not readable YAML ({" ".join(str(error).split())})') from None
    if not isinstance(entries, list) or not entries:
        raise UnifaceError(f'{path}: expected a list of evaluations, `- lfw: {{images: DIR, ...}}`')
    commands = []
    for number, entry in enumerate(entries, 1):
        name, options = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else ('', 0)
        if not isinstance(options, (dict, type(None))):
            raise UnifaceError(f'{path}: entry {number} is not one name with its options')
        if name not in EVALUATIONS:
            known = ', '.join(EVALUATIONS)
            raise UnifaceError(f'{path}: entry {number}: no evaluation {name!r}; there are {known}')
        words = [option_words(key, value) for key, value in (options or {}).items()]
        commands.append((name, sum(words, [])))
    return commands


def option_words(key: str, value: Any) -> List[str]:
    """``limit, 5`` as ``--limit 5``; a list gives several words, true none, and false leaves the option out."""
    if value is False:
        return []
    values = [] if value is True else value if isinstance(value, list) else [value]
    return ['--' + str(key).replace('_', '-'), *map(str, values)]


def is_done(directory: Path, prefix: Union[str, Path], command_line: Sequence[str]) -> bool:
    """Whether a folder holds the result of a command, of a model with the very files of ``prefix``."""
    expected = _options(['tools/evaluate.py', *recorded(command_line)])
    sha256 = hash_model(prefix)
    for path in sorted(directory.glob('*.json')):
        try:
            result = read_result(path)
        except ResultError:
            continue
        identity = result['subject'].get('identity') or {}
        if _options(result.get('command') or []) == expected and identity.get('sha256') == sha256:
            return True
    return False


def _options(command: Sequence[str]) -> List[str]:
    """A command but for its model and its folder, which a series started from elsewhere names in another way."""
    left_out = {at for at, word in enumerate(command) if word in ('--model', '--out')}
    return [word for at, word in enumerate(command) if not {at, at - 1} & left_out]
