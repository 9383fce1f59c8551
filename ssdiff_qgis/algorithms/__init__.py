"""The Processing algorithms, one module each."""
