"""Texts that owners write for a message about a submission, with values of it put in."""
