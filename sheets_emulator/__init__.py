"""A faithful stand-in for Google's Sheets API v4, for the demo and for tests. It imports nothing of FormHub."""
