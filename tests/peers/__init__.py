"""Real third parties on loopback: each speaks its protocol over real sockets and remembers what it heard."""
