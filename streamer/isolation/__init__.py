"""Work on what strangers send, in child processes: a crash, a hang or a memory bomb there ends one child."""
