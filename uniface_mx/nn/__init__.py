"""The network's parts as HybridBlocks: explicit arguments and prefixes, no files, no configuration."""
