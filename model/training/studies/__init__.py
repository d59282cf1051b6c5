"""Many trainings that answer one question: cross-validation, a search, small data."""
