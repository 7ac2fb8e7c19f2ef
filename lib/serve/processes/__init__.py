"""How the app runs: one process, several workers, or Ray Serve; and the connections of uvicorn."""
