"""The service behind `manyfaces serve`: images by HTTP, faces as JSON.

    app.py        the addresses, and what each answers
    guard.py      what surrounds each request: key, host, request id, log line, metrics, errors as JSON
    service.py    detectors, the queue of images, and its state
    protocol.py   slow and refused connections
    server.py     one process: it drains on SIGTERM; workers.py starts several of them
    on_ray.py     the same app on Ray Serve

FastAPI and uvicorn are the extra `serve`. Only the modules that need them import them.
"""
