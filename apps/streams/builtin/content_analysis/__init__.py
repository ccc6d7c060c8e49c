"""Slang and content: which words of which lists stand in the answers, and where."""
