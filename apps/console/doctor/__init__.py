"""Looks at an installation and says how to mend what it finds. It changes nothing.

A module for each part of it; `report` runs them.
"""
