"""Weights, model cards and licenses of the shipped networks; `medsynth.networks.model_store` finds them."""
