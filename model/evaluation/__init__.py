"""Metrics from one confusion matrix."""
