"""Generators: each turns a request's plan into images; the guided diffusion of the paper and its peers."""
