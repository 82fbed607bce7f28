"""The command `gateway token`: an access token of Partner Center for a user who signs in."""
