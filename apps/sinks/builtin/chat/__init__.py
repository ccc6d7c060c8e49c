"""Messages into the chats of a team, one for each submission."""
