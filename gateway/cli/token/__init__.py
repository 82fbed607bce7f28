"""The command `gateway token`: sign a user in and print an access token for Partner Center."""
