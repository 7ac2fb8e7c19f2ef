"""The service behind `manyfaces serve`: images by HTTP, faces as JSON.

    app.py        the addresses, and what each answers
    guard.py      what surrounds each request: key, host, request id, log line, metrics, errors as JSON
    service.py    detectors, the work on an image, the state of the process; lanes.py: the queue and its threads
    processes/    how it runs: one process, which drains on SIGTERM, several workers, or Ray Serve

FastAPI and uvicorn are the extra `serve`. Only the modules that need them import them.
"""
