"""The commands, one noun a file. Each is thin: it takes what was typed, calls the client, and prints."""
