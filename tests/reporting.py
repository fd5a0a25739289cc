"""Result folders of runs that nobody ran, and the page made from them."""

from uniface_mx.evaluation.results import write_result
from uniface_mx.report.page import write_report


def lfw(accuracy=0.9, folds=(0.88, 0.92)):
    return {
        'accuracy': accuracy,
        'std': 0.0283,
        'standard_error': 0.02,
        'folds': list(folds),
        'area': 0.95,
        'true_accepts_at_false_accepts': {'0.01': 0.7, '0.001': 0.5},
        'photos_without_face': 3,
        'roc': {'false_accepts': [0.001, 1], 'true_accepts': [0.5, 1]},
    }


def add(root, subject, name, metrics, data=None, **about):
    write_result(
        root / subject,
        name,
        subject=dict({'name': subject}, **about),
        data=data or {'name': name},
        metrics=metrics,
        command=['tools/evaluate.py', name],
    )


def cells(text, start):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in text.splitlines()
        if line.startswith(start)
    ]


def page(tmp_path):
    return write_report(tmp_path / 'results', tmp_path / 'RESULTS.md').read_text()
