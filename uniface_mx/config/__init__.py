"""Configurations: a reader of typed YAML, the keys of a run, and the settings of its augmentation."""
