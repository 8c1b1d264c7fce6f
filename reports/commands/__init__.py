"""The commands, by what they are about: a report, one setting, a network of your own, a transfer experiment."""
