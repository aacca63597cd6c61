"""Rerunning the paper's tables: which runs there are, starting them, and reporting them."""
