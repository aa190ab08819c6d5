"""A thorax from B-spline control points."""
