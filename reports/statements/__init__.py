"""The paper, statement by statement: what was done about each, how well it agrees, and what is not known."""
