"""Training runs: configuration, Lightning module, run folder."""
