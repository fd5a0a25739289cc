"""The paper's evaluations (section IV): LFW, FDDB, landmarks, detection, groups of people, and the report.

Each evaluation takes a :class:`~uniface_mx.evaluation.subject.Subject`, whatever finds the faces in photos,
and returns a dict of figures; ``tools/evaluate.py`` runs them and writes result files.
"""
