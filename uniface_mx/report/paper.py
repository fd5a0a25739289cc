"""Numbers that the paper, and others, have published: what a report puts ours beside."""

from __future__ import annotations

# Table I: method, images, alignment, networks, accuracy in percent.
LFW = (
    ('DeepFace', '4M', '3D', '4', '97.35'),
    ('DeepID', '203K', '2D', '60', '97.45'),
    ('DeepID2', '203K', '2D', '25', '99.15'),
    ('DeepID2+', '290K', '2D', '25', '99.47'),
    ('Facenet', '260M', 'No', '1', '98.87'),
    ('Facenet', '260M', 'Yes', '1', '99.63'),
    ('UniFace, Model A', '1M', 'No', '1', '98.98 ± 0.389'),
    ('UniFace, Model B', '1M', 'No', '1', '97.93 ± 0.58'),
    ('UniFace, Model C', '1M', 'No', '1', '97.50 ± 0.62'),
    ('UniFace, Model D', '1M', 'No', '1', '95.65 ± 0.85'),
)
MODELS = {'A': '98.98 ± 0.389', 'B': '97.93 ± 0.58', 'C': '97.50 ± 0.62', 'D': '95.65 ± 0.85'}
WHAT_THEY_ARE = {
    'A': 'full',
    'B': 'two separate networks',
    'C': 'no feature fusion',
    'D': 'no landmark attention',
}
# Section IV.C: discrete rate at 2000 false positives, percent.
FDDB = '86.4'
# Table II: system, task, GPU, images a second.
SPEED = (
    ('Faceness', 'detection', 'Titan Black', '20'),
    ('MTCNN', 'detection, landmarks', 'Titan Black', '99'),
    ('All-in-one', 'detection, attributes, recognition', 'Titan X', '0.286'),
    ('Faster-RCNN', 'object detection', 'Titan X', '7'),
    ('UniFace', 'detection, landmarks, recognition', 'Titan X', '120'),
)
# MTCNN's authors (Zhang et al., 2016), AFLW: mean error over the distance of the eyes, percent.
MTCNN_AFLW = '6.9'
