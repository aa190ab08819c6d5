"""The controls of the page, in the order of the job: one file for each part of it."""
