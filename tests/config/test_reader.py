from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass, field
from typing import Any, Dict, List, Literal, Optional, Tuple

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from uniface_mx.config.ranges import MODEL_RANGES
from uniface_mx.config.reader import Config, ConfigError, as_dict, load_config, to_yaml
from uniface_mx.config.schema import ModelConfig, within
from uniface_mx.errors import UnifaceError
from uniface_mx.models import build_uniface
from uniface_mx.nn.detection import CANDIDATES
from uniface_mx.paths import resource


@dataclass(frozen=True)
class Part:
    path: str
    weight: float = within(1.0, low=0)


@dataclass(frozen=True)
class Engine:
    power: float = within(1.5, low=0, high=10)
    gears: int = 4
    fuel: Literal['petrol', 'diesel'] = 'petrol'
    limit: Optional[float] = within(None, low=0)
    turbo: bool = False


@dataclass(frozen=True)
class Car:
    name: str = 'car'
    engine: Engine = field(default_factory=Engine)
    sizes: Tuple[int, ...] = within((1, 2), low=0)
    window: Tuple[float, float] = (0.0, 1.0)
    tags: List[str] = field(default_factory=list)
    extra: Dict[str, Any] = field(default_factory=dict)
    rates: Dict[str, float] = field(default_factory=dict)
    parts: Tuple[Part, ...] = ()

    def __post_init__(self):
        if self.name == 'truck' and self.engine.power < 1:
            raise UnifaceError('name: a truck needs an engine.power of 1 or more')


@pytest.fixture
def load(tmp_path):
    def load(text='', *overrides, schema=Car):
        (tmp_path / 'car.yaml').write_text(text)
        return load_config(tmp_path / 'car.yaml', overrides, schema=schema)

    return load


def test_an_empty_file_gives_the_defaults(load):
    assert load() == Car()
    assert load(schema=Config) == Config()


def test_every_kind_of_value(load):
    car = load("""
name: fast
engine: {power: 2, gears: 6, fuel: diesel, limit: 2.5, turbo: true}
sizes: [3]
window: [0.25, 2]
tags: [a, b]
extra: {deep: {any: [1, x]}}
rates: {first: 1}
parts: [{path: wheel}, {path: door, weight: 3}]
""")
    assert car == Car(
        name='fast',
        engine=Engine(2.0, 6, 'diesel', 2.5, True),
        sizes=(3,),
        window=(0.25, 2.0),
        tags=['a', 'b'],
        extra={'deep': {'any': [1, 'x']}},
        rates={'first': 1.0},
        parts=(Part('wheel', 1.0), Part('door', 3.0)),
    )
    assert isinstance(car.engine.power, float) and isinstance(car.rates['first'], float)


@pytest.mark.parametrize(
    'text, number', [('1e-3', 1e-3), ('-2E+2', -200.0), ('1.5e2', 150.0), ('5.e-1', 0.5)]
)
def test_exponents_without_a_point_are_numbers(load, text, number):
    assert load(f'window: [{text}, 0]').window[0] == number


def test_text_that_looks_like_an_exponent_stays_text(load):
    assert load('name: 1e-3x').name == '1e-3x'


def test_none_where_it_is_allowed(load):
    assert load('engine: {limit: null}').engine.limit is None


def test_settings_win_over_the_file_and_later_over_earlier(load):
    car = load(
        'engine: {power: 2, gears: 3}', 'engine.power=3', 'engine.power=4.5', 'sizes=[7, 8]', 'name=x=y'
    )
    assert (car.engine.power, car.engine.gears, car.sizes, car.name) == (4.5, 3, (7, 8), 'x=y')


def test_a_base_is_overridden_key_by_key(tmp_path):
    (tmp_path / 'deep').mkdir()
    (tmp_path / 'root.yaml').write_text('name: root\nengine: {power: 2, gears: 2}\nsizes: [1, 2, 3]\n')
    (tmp_path / 'deep' / 'middle.yaml').write_text('base: ../root.yaml\nengine: {power: 3}\n')
    (tmp_path / 'leaf.yaml').write_text('base: deep/middle.yaml\nsizes: [9]\n')
    car = load_config(tmp_path / 'leaf.yaml', schema=Car)
    assert car == Car(name='root', engine=Engine(power=3.0, gears=2), sizes=(9,))


def test_a_base_error_names_the_base(tmp_path):
    (tmp_path / 'root.yaml').write_text('engine: {gear: 2}\n')
    (tmp_path / 'leaf.yaml').write_text('base: root.yaml\n')
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / 'leaf.yaml', schema=Car)
    root = tmp_path / 'root.yaml'
    assert str(error.value) == f'{root}: engine.gear is not a key, did you mean engine.gears?'


def test_bases_in_a_circle_are_an_error(tmp_path):
    (tmp_path / 'a.yaml').write_text('base: b.yaml\n')
    (tmp_path / 'b.yaml').write_text('base: a.yaml\n')
    with pytest.raises(ConfigError, match='b.yaml: base: a.yaml leads back to itself'):
        load_config(tmp_path / 'a.yaml', schema=Car)


@pytest.mark.parametrize(
    'base, problem',
    [
        ('base: nothing.yaml', "car.yaml: base: no configuration 'nothing.yaml'"),
        ('base: [a.yaml, b.yaml]', 'car.yaml: base must be the name of one file, not the list'),
    ],
)
def test_a_bad_base(load, base, problem):
    with pytest.raises(ConfigError) as error:
        load(base)
    assert problem in str(error.value)


@pytest.mark.parametrize(
    'text, problem',
    [
        ('engine: {gear: 3}', 'engine.gear is not a key, did you mean engine.gears?'),
        ('engin: {gears: 3}', 'engin is not a key, did you mean engine?'),
        ('gears: 3', 'gears is not a key, did you mean engine.gears?'),
        ('engine: {gears: {low: 3}}', 'engine.gears must be a whole number, not a section'),
        ('engine: 3', 'engine must be a section with keys, not 3'),
        ('engine: {gears: 2.5}', 'engine.gears must be a whole number, not 2.5'),
        ('engine: {gears: true}', 'engine.gears must be a whole number, not true'),
        ("engine: {gears: '3'}", "engine.gears must be a whole number, not the text '3'"),
        ('engine: {gears: null}', 'engine.gears must be a whole number, not empty'),
        ('engine: {power: much}', "engine.power must be a number, not the text 'much'"),
        ('engine: {power: true}', 'engine.power must be a number, not true'),
        ('engine: {power: .nan}', 'engine.power must be a finite number, not nan'),
        ('engine: {power: .inf}', 'engine.power must be a finite number, not inf'),
        ('engine: {power: 11}', 'engine.power must be 0 to 10, not 11.0'),
        ('engine: {limit: -1}', 'engine.limit must be 0 or more, not -1.0'),
        ('engine: {turbo: 1}', 'engine.turbo must be true or false, not 1'),
        (
            'engine: {fuel: disel}',
            "engine.fuel must be one of petrol, diesel, not the text 'disel', did you mean 'diesel'?",
        ),
        ('engine: {fuel: 3}', 'engine.fuel must be one of petrol, diesel, not 3'),
        ('name: 3', 'name must be text, not 3'),
        ('sizes: 3', 'sizes must be a list, not 3'),
        ('sizes: [1, x]', "sizes[1] must be a whole number, not the text 'x'"),
        ('sizes: [1, -1]', 'sizes must be 0 or more, not -1'),
        ('window: [1]', 'window must have 2 values, not 1'),
        ('rates: [1]', 'rates must be a mapping from names, not the list [1]'),
        ('rates: {1: 2}', 'rates must be a mapping from names, not a section'),
        ('rates: {a: b}', "rates.a must be a number, not the text 'b'"),
        ('parts: [{pth: x}]', 'parts[0].pth is not a key, did you mean parts[0].path?'),
        ('parts: [{weight: 1}]', 'parts[0].path is missing'),
        ('parts: [{weight: -1}]', 'parts[0].weight must be 0 or more, not -1.0'),
        ('parts: [wheel]', "parts[0] must be a section with keys, not the text 'wheel'"),
        ('{name: truck, engine: {power: 0}}', 'name: a truck needs an engine.power of 1 or more'),
        (
            '3: 4',
            '3 is not a key, a configuration has name, engine, sizes, window, tags, extra, rates, parts',
        ),
    ],
)
def test_a_bad_value_names_file_key_and_what_is_valid(load, tmp_path, text, problem):
    with pytest.raises(ConfigError) as error:
        load(text)
    assert str(error.value) == f'{tmp_path / "car.yaml"}: {problem}'


@pytest.mark.parametrize(
    'text, problem',
    [
        ('[1, 2]', 'must hold sections with keys, not the list [1, 2]'),
        ('just text', "must hold sections with keys, not the text 'just text'"),
        ('name: [', 'is not readable YAML'),
        ('name: a\nname: b', "'name' stands here twice"),
        ('name: !!python/object/apply:os.system [true]', 'is not readable YAML'),
    ],
)
def test_a_bad_file(load, text, problem):
    with pytest.raises(ConfigError) as error:
        load(text)
    assert 'car.yaml' in str(error.value) and problem in str(error.value)


@pytest.mark.parametrize(
    'setting, problem',
    [
        ('engine.gears', 'write it as section.key=value'),
        ('=3', 'write it as section.key=value'),
        ('engine..gears=3', 'write it as section.key=value'),
        ('sizes=[', 'the value is not YAML'),
        ('engine.gears=many', "engine.gears must be a whole number, not the text 'many'"),
        ('engine.geers=5', 'engine.geers is not a key, did you mean engine.gears?'),
    ],
)
def test_a_bad_setting(load, setting, problem):
    with pytest.raises(ConfigError) as error:
        load('', setting)
    assert str(error.value).startswith(f'--set {setting}: {problem}')


def test_a_key_of_the_real_schema_in_the_wrong_section(load):
    message = 'training.learning_rate is not a key, did you mean optimizer.learning_rate?'
    with pytest.raises(ConfigError, match=message):
        load('training: {learning_rate: 0.1}', schema=Config)


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigError, match="no configuration 'no_such_preset'"):
        load_config('no_such_preset')


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / 'car.yaml').write_bytes(b'\xff\xfe\x00\x80')
    with pytest.raises(ConfigError, match='car.yaml is not readable YAML'):
        load_config(tmp_path / 'car.yaml')


def test_printed_and_read_again_it_is_the_same(load):
    config = load(
        'model: {name: uniface_c_lite}\ndata: {train: [{path: a.rec, tile: 2}]}',
        'optimizer.clip_gradient=1e1',
        'schedule.minimum=1e-7',
        schema=Config,
    )
    assert load(to_yaml(config), schema=Config) == config


@given(
    name=st.text(),
    power=st.floats(0, 10),
    gears=st.integers(),
    turbo=st.booleans(),
    sizes=st.lists(st.integers(0), max_size=4),
)
@example(name='0E0', power=0.0, gears=0, turbo=False, sizes=[])
def test_any_values_survive_printing(tmp_path_factory, name, power, gears, turbo, sizes):
    car = Car(name=name, engine=Engine(power=power, gears=gears, turbo=turbo), sizes=tuple(sizes))
    file = tmp_path_factory.mktemp('any') / 'car.yaml'
    file.write_text(to_yaml(car), encoding='utf-8')
    assert load_config(file, schema=Car) == car


def test_the_defaults_are_the_papers():
    config = Config()
    assert (config.optimizer.learning_rate, config.schedule.factor) == (0.1, 0.1)
    assert (config.training.batch_size, config.training.iterations) == (32, 120000)
    terms = ('classification', 'box', 'landmarks', 'mimic', 'contrast')
    assert [getattr(config.losses, term) for term in terms] == [1, 1, 1, 1, 0]


def test_the_model_section_speaks_of_arguments_that_models_have():
    arguments = set(inspect.signature(build_uniface).parameters)
    assert {field.name for field in dataclasses.fields(ModelConfig)} - {'name'} <= arguments
    assert ModelConfig().overrides() == {}
    model = ModelConfig(name='uniface_c', roi_op='align', max_faces=4)
    assert model.overrides() == {'roi_op': 'align', 'max_faces': 4}


def test_the_model_section_has_the_ranges_of_the_arguments():
    fields = {key.name: key.metadata for key in dataclasses.fields(ModelConfig) if key.metadata}
    ranges = {name: (limits['low'], limits['high']) for name, limits in fields.items()}
    assert ranges == {name: (low, high) for name, (_, low, high) in MODEL_RANGES.items()}
    assert MODEL_RANGES['max_faces'][2] == CANDIDATES


def test_what_the_augmentation_itself_refuses_is_told_with_file_and_section(load):
    with pytest.raises(ConfigError, match='car.yaml: augmentation.letterbox, crop, mosaic: shares must not'):
        load('augmentation: {letterbox: 0, crop: 0, mosaic: 0}', schema=Config)


def test_defaults_pass_their_own_checks(load):
    assert load(yaml.safe_dump(as_dict(Config())), schema=Config) == Config()


def test_a_configuration_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().training.seed = 3


PRESETS = sorted({path.stem for path in resource('experiments').glob('*.yaml')} - {'ablation_runs'})


@pytest.mark.parametrize('preset', PRESETS)
def test_presets_that_ship_are_valid(preset):
    assert isinstance(load_config(preset), Config)
