"""Figures from one confusion matrix, and what follows from them for two models."""
