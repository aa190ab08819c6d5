"""What a set says of itself: card, Croissant, the answers to seven questions, and a page to look at."""
