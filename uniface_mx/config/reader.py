"""Typed configuration: dataclasses filled from YAML files and ``a.b=c`` settings.

A file holds only its difference from its ``base:``. Every value is checked where it stands, so that an error
names the file, the key and the nearest valid one.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Type,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import yaml

from uniface_mx.config.schema import Config
from uniface_mx.errors import UnifaceError, nearest, suggestion
from uniface_mx.paths import resource

T = TypeVar('T')


class ConfigError(UnifaceError):
    """A configuration key or value that the schema does not have; the message names file and key."""


class Loader(yaml.SafeLoader):
    """YAML without its two traps: ``1e-3`` is a number, and a key given twice is an error."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value]
        for name, (key, _) in zip(names, node.value):
            if names.count(name) > 1:
                twice = f'{name!r} stands here twice'
                raise yaml.constructor.ConstructorError(None, None, twice, key.start_mark)
        return super().construct_mapping(node, deep)


class Dumper(yaml.SafeDumper):
    """YAML with a list of plain values on one line."""

    def represent_sequence(self, tag, sequence, flow_style=None):
        plain = not any(isinstance(item, (list, dict)) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)


EXPONENT = re.compile(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+$')
# Read as numbers, and so texts like them are quoted when written.
for _yaml in (Loader, Dumper):
    _yaml.add_implicit_resolver('tag:yaml.org,2002:float', EXPONENT, '-+0123456789')


def load_config(path, overrides: Iterable[str] = (), schema: Type[T] = Config) -> T:
    """Read a configuration.

    Parameters
    ----------
    path : str or Path
        A YAML file, or the name of a preset that the package carries (``lite_a``). Its ``base:`` is looked
        for beside it, then among the presets.
    overrides : iterable of str
        Settings ``section.key=value`` that win over the file; the value is YAML.
    schema : dataclass
        What keys there are; every field has a default.

    Raises
    ------
    ConfigError
        No such file, no valid YAML, an unknown key, or a value of another type or outside its range.
    """
    values: Dict[str, Any] = {}
    for file in reversed(_with_bases(find_config(path))):
        content = _read(file)
        content.pop('base', None)
        values = _merge(values, _Checker(schema, str(file)).section(schema, content))
    for setting in overrides:
        values = _merge(values, _Checker(schema, f'--set {setting}').section(schema, _parse_setting(setting)))
    return _build(schema, values, str(path))


def find_config(path, beside: Path = Path()) -> Path:
    """File of a configuration given as a path relative to `beside`, or as a preset's name."""
    presets = resource('experiments')
    candidates = [beside / path, presets / path, presets / f'{path}.yaml']
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = sorted(preset.stem for preset in presets.glob('*.yaml') if not preset.stem.endswith('_runs'))
    raise ConfigError(
        f'no configuration {str(path)!r}{suggestion(Path(path).stem, names)}: '
        f'give a YAML file or one of {", ".join(names) or "no presets"}'
    )


def as_dict(config) -> Dict[str, Any]:
    """The configuration as nested dicts and lists of plain values."""
    return _plain(dataclasses.asdict(config))


def to_yaml(config) -> str:
    """The resolved configuration as YAML; reading it back gives an equal one."""
    return yaml.dump(as_dict(config), Dumper=Dumper, sort_keys=False, width=110)


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _read(file: Path) -> Dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding='utf-8'), Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'{file} is not readable YAML: {_one_line(error)}') from error
    if not isinstance(content or {}, dict):
        raise ConfigError(f'{file} must hold sections with keys, not {_show(content)}')
    return content or {}


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())


def _with_bases(file: Path) -> List[Path]:
    files = [file]
    while True:
        base = _read(files[-1]).get('base')
        if base is None:
            return files
        if not isinstance(base, str):
            raise ConfigError(f'{files[-1]}: base must be the name of one file, not {_show(base)}')
        try:
            file = find_config(base, files[-1].parent)
        except ConfigError as error:
            raise ConfigError(f'{files[-1]}: base: {error}') from error
        if any(file.samefile(other) for other in files):
            raise ConfigError(f'{files[-1]}: base: {base} leads back to itself')
        files.append(file)


def _parse_setting(setting: str) -> Dict[str, Any]:
    key, equals, text = setting.partition('=')
    if not equals or not all(key.split('.')):
        raise ConfigError(f'--set {setting}: write it as section.key=value')
    try:
        value = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f'--set {setting}: the value is not YAML: {_one_line(error)}') from error
    for name in reversed(key.split('.')):
        value = {name: value}
    return value


def _merge(old: Dict[str, Any], new: Dict[str, Any]) -> Dict[str, Any]:
    """`new` over `old`, section by section."""
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _build(schema, values: Dict[str, Any], origin: str, section: str = ''):
    """Dataclass of checked values; sections that are not named have their defaults."""
    hints = get_type_hints(schema)
    arguments = {
        name: _build(hints[name], value, origin, f'{section}{name}.')
        if dataclasses.is_dataclass(hints[name])
        else value
        for name, value in values.items()
    }
    try:
        return schema(**arguments)
    except UnifaceError as error:  # what the schema itself finds wrong among values that are right one by one
        raise ConfigError(f'{origin}: {section}{error}') from error


def _keys(schema, prefix: str = '') -> Iterator[str]:
    """All dotted keys and sections of a schema."""
    for name, hint in get_type_hints(schema).items():
        yield prefix + name
        if dataclasses.is_dataclass(hint):
            yield from _keys(hint, f'{prefix}{name}.')


class _Checker:
    """Gives the values of one file the types of the schema."""

    def __init__(self, schema, origin: str):
        self.schema = schema
        self.origin = origin

    def fail(self, key: str, problem: str):
        raise ConfigError(f'{self.origin}: {key} {problem}' if key else f'{self.origin}: {problem}')

    def section(self, schema, values, prefix: str = '') -> Dict[str, Any]:
        """Checked values; nested sections stay dicts, so that files can be merged."""
        if not isinstance(values, dict):
            self.fail(prefix, f'must be a section with keys, not {_show(values)}')
        hints = get_type_hints(schema)
        fields = {field.name: field for field in dataclasses.fields(schema)}
        checked = {}
        for name, value in values.items():
            key = f'{prefix}.{name}' if prefix else str(name)
            if name not in fields:
                self.unknown(key, fields, prefix)
            elif dataclasses.is_dataclass(hints[name]):
                checked[name] = self.section(hints[name], value, key)
            else:
                checked[name] = self.value(hints[name], value, key)
                self.range(fields[name].metadata, checked[name], key)
        return checked

    def unknown(self, key: str, siblings, prefix: str):
        """Fail with the key nearest to an unknown one: of the same name in another section, or beside it."""
        section, dot, name = key.rpartition('.')
        near = nearest(name, siblings, cutoff=0.6)
        others = [other for other in _keys(self.schema) if other != section]
        full = next((other for other in others if other.endswith(f'.{name}')), None) or (
            section + dot + near if near else nearest(key, others, cutoff=0.7)
        )
        hint = f'did you mean {full}?' if full else f'{prefix or "a configuration"} has {", ".join(siblings)}'
        self.fail(key, f'is not a key, {hint}')

    def value(self, hint, value, key: str):
        """`value` as the type `hint`: an int becomes a float, a list a tuple, where asked; nothing else."""
        origin, arguments = get_origin(hint), get_args(hint)
        if hint is Any:
            return value
        if dataclasses.is_dataclass(hint):
            return self.element(hint, value, key)
        if origin is Union:
            if value is None and type(None) in arguments:
                return None
            return self.value(next(kind for kind in arguments if kind is not type(None)), value, key)
        if origin is Literal:
            if value not in arguments or isinstance(value, bool):
                near = suggestion(value, arguments) if isinstance(value, str) else ''
                self.fail(key, f'must be one of {", ".join(map(str, arguments))}, not {_show(value)}{near}')
            return value
        if origin in (list, tuple):
            return origin(self.items(hint, arguments, value, key))
        if origin is dict:
            if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
                self.fail(key, f'must be a mapping from names, not {_show(value)}')
            return {name: self.value(arguments[1], item, f'{key}.{name}') for name, item in value.items()}
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, hint) or isinstance(value, bool) and hint is not bool:
            self.fail(key, f'must be {NAMES[hint]}, not {_show(value)}')
        if hint is float and not math.isfinite(value):
            self.fail(key, f'must be a finite number, not {value}')
        return value

    def element(self, schema, value, key: str):
        """A section that is an element of a list: complete, for nothing is merged into it."""
        values = self.section(schema, value, key)
        for field in dataclasses.fields(schema):
            missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if missing and field.name not in values:
                self.fail(f'{key}.{field.name}', 'is missing')
        return _build(schema, values, self.origin, f'{key}.')

    def items(self, hint, arguments, value, key: str) -> List[Any]:
        if not isinstance(value, list):
            self.fail(key, f'must be a list, not {_show(value)}')
        if get_origin(hint) is tuple and arguments[-1] is not Ellipsis:
            if len(value) != len(arguments):
                self.fail(key, f'must have {len(arguments)} values, not {len(value)}')
        else:
            arguments = arguments[:1] * len(value)
        return [
            self.value(argument, item, f'{key}[{index}]')
            for index, (argument, item) in enumerate(zip(arguments, value))
        ]

    def range(self, limits, value, key: str):
        low, high = limits.get('low'), limits.get('high')
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if number is None:
                continue
            if low is not None and number < low or high is not None and number > high:
                allowed = f'{low} or more' if high is None else f'{low} to {high}'
                self.fail(key, f'must be {allowed}, not {number}')


NAMES = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text'}


def _show(value) -> str:
    """A value as an error shows it: ``the text 'abc'``."""
    if value is None:
        return 'empty'
    if isinstance(value, dict):
        return 'a section'
    if isinstance(value, list):
        return f'the list {value}'
    if isinstance(value, str):
        return f'the text {value!r}'
    return str(value).lower() if isinstance(value, bool) else str(value)
