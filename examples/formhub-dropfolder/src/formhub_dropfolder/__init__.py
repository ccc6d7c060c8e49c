"""Files in a folder as an action of FormHub."""
