"""Noise schedules, the denoiser and the samplers."""
