"""Prediction held against simulation, claim by claim: the only package that sees both."""
