"""The commands, by subject: a report, one setting, your own network, a transfer experiment."""
