"""Recipes, training data and the trainer."""
