"""An RTSP server on the loopback: MPEG-4 video over RTP in the TCP connection (RFC 2326, RFC 3016), for one film."""

import contextlib
import re
import socketserver
import struct
import threading

import cv2
from processes import on_loopback

LARGEST = 1400  # bytes of a packet's payload


def packets(path):
    """The encoded frames of a film, as they are stored."""
    capture, stored = cv2.VideoCapture(str(path)), []
    assert capture.set(cv2.CAP_PROP_FORMAT, -1)
    while (read := capture.read())[0]:
        stored.append(read[1].tobytes())
    return stored


@contextlib.contextmanager
def rtsp_server(film, *connections, rate=25.0):
    """Serve a film of MPEG-4 (mp4v in .avi) again and again; yields the address.

    Each of `connections` says how many frames one connection gets before it is closed, the last one also those after
    it; "forever"; "stall": ten frames, then nothing; "silent": no answer at all.
    """
    frames, taken, stop = packets(film), iter(range(10**6)), threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            what = connections[min(next(taken), len(connections) - 1)]
            with contextlib.suppress(OSError):
                while not stop.is_set() and (request := self.request_of(what)):
                    if request == "PLAY":
                        self.play({"forever": 10**6, "stall": 10}.get(what, what))
                        if what == "stall":
                            stop.wait()
                        return

        def request_of(self, what):
            """Answer a request; returns its method, empty where the other side has gone."""
            lines = []
            while (line := self.rfile.readline().strip()) or not lines:
                if not line:
                    return ""
                lines.append(line.decode())
            if what == "silent":
                stop.wait()
            number = next(re.search(r"\d+", line)[0] for line in lines if line.lower().startswith("cseq"))
            method, head, body = lines[0].split()[0], "", ""
            if method == "OPTIONS":
                head = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                body = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=film\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\na=control:track1\r\n")
                head = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                head = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif method == "PLAY":
                head = "Session: 1\r\n"
            self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}\r\n{body}".encode())
            return method

        def play(self, count):
            sequence = 0
            for number in range(count):
                data = frames[number % len(frames)]
                for place in range(0, len(data), LARGEST):
                    part = data[place : place + LARGEST]
                    last = place + LARGEST >= len(data)
                    rtp = struct.pack(">BBHII", 0x80, 96 | 0x80 * last, sequence % 65536,
                                      round(number * 90000 / rate) % 2**32, 1)
                    self.wfile.write(struct.pack(">cBH", b"$", 0, len(rtp) + len(part)) + rtp + part)
                    sequence += 1
                if stop.wait(1 / rate):
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    with on_loopback(Server(("127.0.0.1", 0), Handler), stop) as port:
        yield f"rtsp://127.0.0.1:{port}/live"
