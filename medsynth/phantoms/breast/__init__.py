"""A compressed breast from B-spline control points."""
