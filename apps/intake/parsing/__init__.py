"""From the bytes of a request to answers that every store behind us can hold."""
