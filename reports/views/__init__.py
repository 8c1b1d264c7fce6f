"""The output of commands, one module per subject. Each has one function `view`: a JSON value and the same as text."""
