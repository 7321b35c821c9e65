"""Objectives: what the model is trained for, as plain functions of features."""
