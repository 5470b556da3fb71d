"""The one door to other people's servers: address guard, URL check, curl handles and a small client."""
