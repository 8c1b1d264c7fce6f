"""The transfer function f: that it is one, and its shape."""
