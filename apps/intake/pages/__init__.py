"""What a respondent sees: a form, its ending, the receipt, and pages that say why there is nothing to fill in."""
