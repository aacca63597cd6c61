"""The paper: its tables as data, training their rows, reports; the demos on generated scenes."""
