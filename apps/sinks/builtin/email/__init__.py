"""Mails about submissions: a confirmation to whoever sent one, and a notification to the team."""
