"""What commands show, a module per subject: each has one `view`, the JSON value of the public contract and its text."""
