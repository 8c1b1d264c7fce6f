"""Pure mathematics of alignment: eigenspaces, statistical tests, closed forms. No files, no printing, no state."""
