"""What the programs in `tools` have in common."""
