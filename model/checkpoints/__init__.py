"""Checkpoint folders: their format and their model card."""
