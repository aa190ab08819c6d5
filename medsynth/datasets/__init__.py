"""Readers of the field's data sets, their splits and their records."""
