"""The command line: pure commands in one process, what stays or is killed in processes of its own."""
