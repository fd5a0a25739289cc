"""The network's parts as HybridBlocks: explicit arguments, explicit prefixes, no files and no configuration."""
