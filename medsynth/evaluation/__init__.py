"""How fast and how faithful: figures that the documentation may quote."""
