"""Training (sections III.E and IV.A): the step, the loop around it, schedules, checkpoints, validation."""
