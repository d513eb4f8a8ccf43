"""Small programs for those who work on the project: each is run by its path."""
