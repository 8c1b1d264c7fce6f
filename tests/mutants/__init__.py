"""Small faults planted one by one into the packages, to see whether the tests notice: `make mutants`."""
