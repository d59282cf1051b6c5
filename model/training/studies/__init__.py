"""Many trainings that answer one question: cross-validation, and the search for settings."""
