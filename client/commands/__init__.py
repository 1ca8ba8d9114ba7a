"""One module for each command of `duplex`; what a command needs is imported when it runs."""
