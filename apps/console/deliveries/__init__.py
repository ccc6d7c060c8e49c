"""The delivery console: for the owner of a form, what its actions delivered, what waits, what failed, what to do."""
