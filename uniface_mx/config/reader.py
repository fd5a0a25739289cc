"""Typed configuration: dataclasses filled from YAML files and ``a.b=c`` settings.

A file holds only its difference from its ``base:``. Every value is checked where it stands, so that an error
names the file, the key and the nearest valid one.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import typing
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Literal, NoReturn, Tuple, Type, TypeVar, Union

import yaml

from uniface_mx.config.schema import Config
from uniface_mx.errors import UnifaceError, nearest, suggestion
from uniface_mx.paths import resource

T = TypeVar('T')
EXPONENT = re.compile(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+$')
KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'text'}


class ConfigError(UnifaceError):
    """A configuration key or value that the schema does not have; the message names file and key."""


class YamlLoader(yaml.SafeLoader):
    """YAML without its two traps: ``1e-3`` is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Dict[Any, Any]:
        """A mapping whose keys differ."""
        names = [key.value for key, _ in node.value]
        for name, (key, _) in zip(names, node.value):
            if names.count(name) > 1:
                twice = f'{name!r} stands here twice'
                raise yaml.constructor.ConstructorError(None, None, twice, key.start_mark)
        return super().construct_mapping(node, deep)


class YamlDumper(yaml.SafeDumper):
    """YAML with a list of plain values on one line."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: Any = None) -> yaml.SequenceNode:
        """A list, on one line unless it holds others."""
        plain = not any(isinstance(item, (list, dict)) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)


# Read as numbers, and so texts like them are quoted when written.
for _yaml in (YamlLoader, YamlDumper):
    _yaml.add_implicit_resolver('tag:yaml.org,2002:float', EXPONENT, '-+0123456789')


def load_config(path: Union[str, os.PathLike], overrides: Iterable[str] = (), schema: Type[T] = Config) -> T:
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
    layers = [(str(file), content) for file, content in reversed(_with_bases(find_config(path)))]
    layers += [(f'--set {setting}', _parse_setting(setting)) for setting in overrides]
    values: Dict[str, Any] = {}
    for origin, content in layers:
        values = _merge(values, _Checker(schema, origin).section(schema, content))
    return _build(schema, values, str(path))


def find_config(path: Union[str, os.PathLike], beside: Path = Path()) -> Path:
    """File of a configuration given as a path relative to `beside`, or as a preset's name.

    Raises
    ------
    ConfigError
        There is none.
    """
    presets = resource('experiments')
    for candidate in (beside / path, presets / path, presets / f'{path}.yaml'):
        if candidate.is_file():
            return candidate
    names = sorted(preset.stem for preset in presets.glob('*.yaml') if not preset.stem.endswith('_runs'))
    raise ConfigError(
        f'no configuration {str(path)!r}{suggestion(Path(path).stem, names)}: '
        f'give a YAML file or one of {", ".join(names) or "no presets"}'
    )


def as_dict(config: Any) -> Dict[str, Any]:
    """The configuration as nested dicts and lists of plain values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def to_yaml(config: Any) -> str:
    """The resolved configuration as YAML; reading it back gives an equal one."""
    return yaml.dump(as_dict(config), Dumper=YamlDumper, sort_keys=False, width=110)


def _read(file: Path) -> Dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding='utf-8'), YamlLoader) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'{file} is not readable YAML: {_one_line(error)}') from error
    if not isinstance(content, dict):
        raise ConfigError(f'{file} must hold sections with keys, not {_show(content)}')
    return content


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())


def _with_bases(file: Path) -> List[Tuple[Path, Dict[str, Any]]]:
    """A file and its bases, one after the other, with what each holds beside its ``base:``."""
    found: List[Tuple[Path, Dict[str, Any]]] = []
    while True:
        content = _read(file)
        base = content.pop('base', None)
        found.append((file, content))
        if base is None:
            return found
        if not isinstance(base, str):
            raise ConfigError(f'{file}: base must be the name of one file, not {_show(base)}')
        named_by = file
        try:
            file = find_config(base, file.parent)
        except ConfigError as error:
            raise ConfigError(f'{named_by}: base: {error}') from error
        if any(file.samefile(other) for other, _ in found):
            raise ConfigError(f'{named_by}: base: {base} leads back to itself')


def _parse_setting(setting: str) -> Dict[str, Any]:
    key, equals, text = setting.partition('=')
    if not equals or not all(key.split('.')):
        raise ConfigError(f'--set {setting}: write it as section.key=value')
    try:
        value = yaml.load(text, YamlLoader)
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


def _build(schema: Type[T], values: Dict[str, Any], origin: str, section: str = '') -> T:
    """Dataclass of checked values; sections that are not named have their defaults."""
    hints = typing.get_type_hints(schema)
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


def _keys(schema: Type, prefix: str = '') -> Iterator[str]:
    """All dotted keys and sections of a schema."""
    for name, hint in typing.get_type_hints(schema).items():
        yield prefix + name
        if dataclasses.is_dataclass(hint):
            yield from _keys(hint, f'{prefix}{name}.')


class _Checker:
    """Gives the values of one file the types of the schema."""

    def __init__(self, schema: Type, origin: str) -> None:
        self.schema, self.origin = schema, origin

    def fail(self, key: str, problem: str) -> NoReturn:
        raise ConfigError(f'{self.origin}: {key} {problem}' if key else f'{self.origin}: {problem}')

    def section(self, schema: Type, values: Any, prefix: str = '') -> Dict[str, Any]:
        """Checked values; nested sections stay dicts, so that files can be merged."""
        if not isinstance(values, dict):
            self.fail(prefix, f'must be a section with keys, not {_show(values)}')
        hints = typing.get_type_hints(schema)
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

    def unknown(self, key: str, siblings: Iterable[str], prefix: str) -> NoReturn:
        """Fail with the key nearest to an unknown one: of the same name in another section, or beside it."""
        section, dot, name = key.rpartition('.')
        near = nearest(name, siblings, cutoff=0.6)
        others = [other for other in _keys(self.schema) if other != section]
        full = next((other for other in others if other.endswith(f'.{name}')), None) or (
            section + dot + near if near else nearest(key, others, cutoff=0.7)
        )
        hint = f'did you mean {full}?' if full else f'{prefix or "a configuration"} has {", ".join(siblings)}'
        self.fail(key, f'is not a key, {hint}')

    def value(self, hint: Any, value: Any, key: str) -> Any:
        """`value` as the type `hint`: an int becomes a float, a list a tuple, where asked; nothing else."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint is Any or origin is Union and value is None:  # of unions there is Optional alone
            return value
        if origin is Union:
            return self.value(arguments[0], value, key)
        if dataclasses.is_dataclass(hint):
            return self.element(hint, value, key)
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
            self.fail(key, f'must be {KINDS[hint]}, not {_show(value)}')
        if hint is float and not math.isfinite(value):
            self.fail(key, f'must be a finite number, not {value}')
        return value

    def element(self, schema: Type, value: Any, key: str) -> Any:
        """A section that is an element of a list: complete, for nothing is merged into it."""
        values = self.section(schema, value, key)
        for field in dataclasses.fields(schema):
            missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if missing and field.name not in values:
                self.fail(f'{key}.{field.name}', 'is missing')
        return _build(schema, values, self.origin, f'{key}.')

    def items(self, hint: Any, arguments: Tuple[Any, ...], value: Any, key: str) -> List[Any]:
        """The elements of a list or tuple, each of its type."""
        if not isinstance(value, list):
            self.fail(key, f'must be a list, not {_show(value)}')
        if typing.get_origin(hint) is list or arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        elif len(value) != len(arguments):
            self.fail(key, f'must have {len(arguments)} values, not {len(value)}')
        return [
            self.value(argument, item, f'{key}[{index}]')
            for index, (argument, item) in enumerate(zip(arguments, value))
        ]

    def range(self, limits: typing.Mapping[str, float], value: Any, key: str) -> None:
        """Fail if a number, or one of several, lies beyond what `uniface_mx.config.schema.within` says."""
        numbers = value if isinstance(value, (list, tuple)) else [value]
        low, high = limits.get('low', -math.inf), limits.get('high', math.inf)
        for number in numbers if limits and value is not None else ():
            if not low <= number <= high:
                allowed = f'{low} or more' if high == math.inf else f'{low} to {high}'
                self.fail(key, f'must be {allowed}, not {number}')


def _show(value: Any) -> str:
    """A value as an error shows it: ``the text 'abc'``."""
    if isinstance(value, (dict, list, str)):
        return {dict: 'a section', list: f'the list {value}', str: f'the text {value!r}'}[type(value)]
    return 'empty' if value is None else str(value).lower() if isinstance(value, bool) else str(value)
