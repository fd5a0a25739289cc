"""A trained model in use: export, the backends that run what was exported, photos in and faces out."""
