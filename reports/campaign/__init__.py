"""The walk through the claims: cases predicted, measured and kept as records, then judged and put together."""
