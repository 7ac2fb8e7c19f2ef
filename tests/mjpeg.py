"""A server on the loopback that streams pictures as IP cameras do (MJPEG), and behaves as badly as a test wants."""

import contextlib
import http.server
import socket
import threading

import cv2
from processes import on_loopback
from stand_in import picture

HEAD = {"Content-Type": "multipart/x-mixed-replace; boundary=frame"}


def jpeg(x, side=30):
    """A JPEG of 160 x 120 px: a green square at x, 30."""
    return cv2.imencode(".jpg", picture(160, 120, (x, 30, side))[..., ::-1])[1].tobytes()


@contextlib.contextmanager
def server(*connections, rate=50.0):
    """Serve a stream; yields its address.

    Each of `connections` says what one connection gets, the last one also those after it: a number of frames, then it
    is closed; "forever"; "refuse": 404; "silent": nothing, not even a header; "stall": ten frames, then nothing;
    "garbage": bytes that are no video; "broken": frames of which some are damaged.
    """
    taken, stop = iter(range(10**6)), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            what = connections[min(next(taken), len(connections) - 1)]
            with contextlib.suppress(OSError):
                self.serve(what)

        def serve(self, what):
            if what == "silent":
                stop.wait()
                return
            self.send_response(404 if what == "refuse" else 200)
            for key, value in HEAD.items():
                self.send_header(key, value)
            self.end_headers()
            if what == "garbage":
                self.wfile.write(bytes(range(256)) * 400)
            count = {"forever": 10**6, "broken": 10**6, "stall": 10}.get(what, what if isinstance(what, int) else 0)
            for number in range(count):
                data = jpeg(20 + number % 8 * 10)
                if what == "broken" and number % 3 == 2:
                    data = data[: len(data) // 2] + bytes(40)
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
                self.wfile.write(data + b"\r\n")
                if stop.wait(1 / rate):
                    return
            if what == "stall":
                stop.wait()

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET

    with on_loopback(Server(("127.0.0.1", 0), Handler), stop) as port:
        yield f"http://127.0.0.1:{port}/video"
