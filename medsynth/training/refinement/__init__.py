"""Teaching a refiner: what a network makes of training images, judged against those images."""
