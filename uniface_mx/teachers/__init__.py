"""Teachers by name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, Dict

import yaml

from uniface_mx.teachers.base import Teacher, TeacherError

# Imported on demand: each teacher needs packages that the others do not.
TEACHERS = {
    'mtcnn_pypi': 'uniface_mx.teachers.mtcnn:MTCNN',
    'dlib': 'uniface_mx.teachers.dlib:DlibEmbedding',
    'dlib_library': 'uniface_mx.teachers.dlib:DlibLibrary',
    'onnx': 'uniface_mx.teachers.onnx_embedding:OnnxEmbedding',
}


def create_teacher(name: str, **options: Any) -> Teacher:
    """A landmark or embedding teacher.

    Parameters
    ----------
    name : str
        Key of `TEACHERS`, or MODULE:CLASS of a teacher of one's own.
    **options
        Arguments of the teacher's class.

    Raises
    ------
    TeacherError
        Unknown name or option, a package that is not installed, or weights that cannot be used.
    """
    if name not in TEACHERS and ':' not in name:
        raise TeacherError(f"unknown teacher '{name}': choose from {', '.join(sorted(TEACHERS))}")
    module, _, attribute = TEACHERS.get(name, name).partition(':')
    try:
        teacher = getattr(importlib.import_module(module), attribute, None)
        if teacher is None:
            raise TeacherError(f"teacher '{name}': module {module} has no class {attribute}")
        known = inspect.signature(teacher).parameters
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise TeacherError(
                f"teacher '{name}' has no option '{unknown[0]}': its options are {', '.join(known)}"
            )
        return teacher(**options)
    except ImportError as error:
        raise TeacherError(f"teacher '{name}' needs a package that is not installed: {error}") from error


def open_teacher(spec: str) -> Teacher:
    """The teacher that NAME?OPTION=VALUE&... describes, as ``mtcnn?min_face=30``.

    Raises
    ------
    TeacherError
        As `create_teacher`, or an option has no value or a senseless one.
    """
    name, _, query = spec.partition('?')
    options: Dict[str, Any] = {}
    for item in filter(None, query.split('&')):
        option, equals, value = item.partition('=')
        if not equals:
            raise TeacherError(f"teacher '{spec}': '{item}' is not OPTION=VALUE")
        try:
            options[option] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise TeacherError(f"teacher '{spec}': {value} is no value for '{option}'") from None
    try:
        return create_teacher(name, **options)
    except (TypeError, ValueError) as error:
        raise TeacherError(f"teacher '{spec}': {error}") from None
