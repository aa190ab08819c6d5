"""Training a refiner: what a network makes of training images, against those images."""
