"""Google Sheets: each submission a row, once, in the order of the log."""
